"""The toolkit as a hostile world meets it: ``make torture``; one part a file."""
