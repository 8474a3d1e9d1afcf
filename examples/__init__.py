"""Programs that use interp, to read and to copy from, and `examples.demo`, which kills them.

`checkout` is one file: charge a card, send a mail. `provision` is a package: more than a hundred cloud resources.
"""
