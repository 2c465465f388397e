"""What is known of the paper: its settings, its published numbers, and how ours differ."""
