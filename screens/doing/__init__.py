"""What is done to runs at a key: orders, and jobs on threads of their own."""
