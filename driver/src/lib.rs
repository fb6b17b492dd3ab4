//! What every P2PNet runtime adapter shares: clock, handle, budgets, the awaiting loop.
