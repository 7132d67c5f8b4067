// A phase that there is not.
// RUN: lutra-opt %s --verify-phase=phase=lowering --verify-diagnostics

// expected-error @below {{unknown phase 'lowering'}}
module {}
