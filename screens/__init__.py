"""One Textual screen per file, its .tcss beside it; shared widgets in `widgets/`."""
