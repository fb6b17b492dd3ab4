#![no_main]

p2pnet_fuzz::target!(SCAN_CURSOR);
