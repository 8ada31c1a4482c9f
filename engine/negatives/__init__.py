"""Sources of negative rationales beyond the teacher's minority: one file a source."""
