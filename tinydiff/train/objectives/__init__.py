"""What is minimised, one a file."""
