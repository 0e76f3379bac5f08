"""Generated protocol types and stubs; written by `./run proto`, never by hand."""
