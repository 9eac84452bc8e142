"""What is handed out: the source distribution and the wheels."""
