//! Who picks the action: random, cycle and rules policies.
