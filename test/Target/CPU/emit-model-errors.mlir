// RUN: lutra-opt --split-input-file --emit-model --verify-diagnostics %s

// expected-error @+1 {{expects lutra.target}}
module {
}

// -----

// expected-error @+1 {{expects @main and @plan}}
module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  // expected-error @+1 {{argument 1: expects a lutra.role that fits its type}}
  func.func @main(%ctx: !llvm.ptr {lutra.role = "context"}, %x: f32 {lutra.role = "dim"}) {
    return
  }
  func.func @plan(%workers: index) -> index {
    return %workers : index
  }
}

// -----

module attributes {lutra.target = #lutra.target<triple = "x86_64-unknown-linux-gnu", cpu = "x86-64", features = "", vectorBits = 128, vectorRegisters = 16, l1 = 32768, l2 = 524288>} {
  func.func @main(%ctx: !llvm.ptr {lutra.role = "context"}) {
    return
  }
  // expected-error @+1 {{expects 1 index arguments and 1 index results}}
  func.func @plan() {
    return
  }
}
