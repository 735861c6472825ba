//! Who we are to a registry: sources in order, the first that answers wins.
