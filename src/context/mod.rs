//! What of a directory goes into an image: Docker's ignore rules and a sorted walk.
