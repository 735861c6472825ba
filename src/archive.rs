//! Images as single files: `docker save` archives and OCI archives, written and read.
