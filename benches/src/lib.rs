//! Speed against limits and peers, measured side by side.
