"""What a person starts: the command line, the page in the browser, the demo."""
