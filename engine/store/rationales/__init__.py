"""Rationales as they are read: by question and visit, filtered, searched, remarked on."""
