//! A safe handle on one ViZDoom game: start, step, frames without copies, deadline, teardown.
