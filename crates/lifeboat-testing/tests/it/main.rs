//! The test world itself: it starts, is filled, can be compared, and leaves nothing behind.

mod leftovers;
mod worlds;
