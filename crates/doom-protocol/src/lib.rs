//! Ids, subjects, events, envelope, codecs and stream definitions of clau-doom; pure data, no I/O.
