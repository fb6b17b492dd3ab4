//! The stories that the lab tells.
