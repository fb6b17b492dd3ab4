#![no_main]

p2pnet_fuzz::target!(BOOTSTRAP);
