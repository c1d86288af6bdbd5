"""What people look at: the network and its applications live in a terminal (`top`), and a picture of the
last minutes (`plot`). Both only read what they are given."""
