// After plan: a host program of calls and index arithmetic on buffers.
// RUN: lutra-opt %s --verify-phase=phase=plan --split-input-file --verify-diagnostics

// What the contract allows.
func.func @main(%i: index, %m: memref<4xf32>) {
  func.call @f() : () -> ()
  %r0 = arith.addi %i, %i : index
  %r1 = memref.subview %m[0] [2] [1] : memref<4xf32> to memref<2xf32, strided<[1]>>
  %r2 = affine.apply affine_map<(d0) -> (d0 + 1)>(%i)
  return
}
func.func private @k2(%c: f32, %m: memref<4xf32>, %i: index) attributes {lutra.kernel} {
  %r0 = vector.broadcast %c : f32 to vector<4xf32>
  %r1 = memref.alloca() : memref<4xf32>
  %r2 = memref.load %m[%i] : memref<4xf32>
  %r3 = memref.subview %m[0] [2] [1] : memref<4xf32> to memref<2xf32, strided<[1]>>
  scf.for %j = %i to %i step %i {
  }
  scf.forall (%j) in (4) {
  }
  %r4 = arith.addi %i, %i : index
  %r5 = math.sqrt %c : f32
  %r6 = llvm.mlir.constant(1 : i64) : i64
  %r7 = ub.poison : f32
  %r8 = affine.apply affine_map<(d0) -> (d0 + 1)>(%i)
  return
}
func.func private @f()

// -----

// expected-error @below {{'memref.global' op is not allowed after phase 'plan'}}
memref.global @g : memref<4xf32>

// -----

// expected-error @below {{'llvm.func' op is not allowed after phase 'plan'}}
llvm.func @g()

// -----

// expected-error @below {{'llvm.mlir.global' op is not allowed after phase 'plan'}}
llvm.mlir.global @g() : i64

// -----

// expected-error @below {{'ml_program.global' op is not allowed after phase 'plan'}}
ml_program.global private mutable @g : i64

// -----

func.func @main(%c: f32, %m: memref<4xf32>) {
  // expected-error @below {{'linalg.fill' op is not allowed after phase 'plan'}}
  linalg.fill ins(%c : f32) outs(%m : memref<4xf32>)
  // expected-error @below {{'onnx.node' op is not allowed after phase 'plan'}}
  onnx.node "Relu" version 14 () : () -> ()
  return
}

// -----

func.func @main() {
  // expected-error @below {{'onnx.absent' op is not allowed after phase 'plan'}}
  %0 = onnx.absent
  return
}

// -----

func.func @main() {
  // expected-error @below {{'lutra.dim' op is not allowed after phase 'plan'}}
  %0 = lutra.dim "n" min 1 max 8 multiple 1
  return
}

// -----

func.func @main() {
  // expected-error @below {{'lutra.weight' op is not allowed after phase 'plan'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> : tensor<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'tensor.empty' op is not allowed after phase 'plan'}}
  %0 = tensor.empty() : tensor<4xf32>
  return
}

// -----

func.func @main(%c: f32) {
  // expected-error @below {{'math.exp' op is not allowed after phase 'plan'}}
  %0 = math.exp %c : f32
  return
}

// -----

func.func @main(%c: f32) {
  // expected-error @below {{'math.sqrt' op is not allowed after phase 'plan'}}
  %0 = math.sqrt %c : f32
  return
}

// -----

func.func @main(%i: index) {
  // expected-error @below {{'scf.for' op is not allowed after phase 'plan'}}
  scf.for %j = %i to %i step %i {
  }
  return
}

// -----

func.func @main() {
  // expected-error @below {{'scf.forall' op is not allowed after phase 'plan'}}
  scf.forall (%j) in (4) {
  }
  return
}

// -----

func.func @main() {
  // expected-error @below {{'affine.for' op is not allowed after phase 'plan'}}
  affine.for %j = 0 to 4 {
  }
  return
}

// -----

func.func @main(%c: f32) {
  // expected-error @below {{'vector.broadcast' op is not allowed after phase 'plan'}}
  %0 = vector.broadcast %c : f32 to vector<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'memref.alloc' op is not allowed after phase 'plan'}}
  %0 = memref.alloc() : memref<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'memref.alloca' op is not allowed after phase 'plan'}}
  %0 = memref.alloca() : memref<4xf32>
  return
}

// -----

func.func @main(%m: memref<4xf32>) {
  // expected-error @below {{'memref.dealloc' op is not allowed after phase 'plan'}}
  memref.dealloc %m : memref<4xf32>
  return
}

// -----

func.func @main(%m: memref<4xf32>) {
  // expected-error @below {{'memref.realloc' op is not allowed after phase 'plan'}}
  %0 = memref.realloc %m : memref<4xf32> to memref<8xf32>
  return
}

// -----

func.func @main(%m: memref<4xf32>, %i: index) {
  // expected-error @below {{'memref.load' op is not allowed after phase 'plan'}}
  %0 = memref.load %m[%i] : memref<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'bufferization.alloc_tensor' op is not allowed after phase 'plan'}}
  %0 = bufferization.alloc_tensor() : tensor<4xf32>
  return
}

// -----

func.func @main(%b: i1) {
  // expected-error @below {{'cf.assert' op is not allowed after phase 'plan'}}
  cf.assert %b, "no"
  return
}

// -----

func.func @main() {
  // expected-error @below {{'llvm.mlir.constant' op is not allowed after phase 'plan'}}
  %0 = llvm.mlir.constant(1 : i64) : i64
  return
}

// -----

func.func @main() {
  // expected-error @below {{'ub.poison' op is not allowed after phase 'plan'}}
  %0 = ub.poison : f32
  return
}

// -----

func.func private @k(%c: f32, %m: memref<4xf32>) attributes {lutra.kernel} {
  // expected-error @below {{'linalg.fill' op is not allowed after phase 'plan'}}
  linalg.fill ins(%c : f32) outs(%m : memref<4xf32>)
  // expected-error @below {{'onnx.node' op is not allowed after phase 'plan'}}
  onnx.node "Relu" version 14 () : () -> ()
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'onnx.absent' op is not allowed after phase 'plan'}}
  %0 = onnx.absent
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'lutra.dim' op is not allowed after phase 'plan'}}
  %0 = lutra.dim "n" min 1 max 8 multiple 1
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'lutra.weight' op is not allowed after phase 'plan'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> : tensor<4xf32>
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'tensor.empty' op is not allowed after phase 'plan'}}
  %0 = tensor.empty() : tensor<4xf32>
  return
}

// -----

func.func private @k(%c: f32) attributes {lutra.kernel} {
  // expected-error @below {{'math.exp' op is not allowed after phase 'plan'}}
  %0 = math.exp %c : f32
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'affine.for' op is not allowed after phase 'plan'}}
  affine.for %j = 0 to 4 {
  }
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'memref.alloc' op is not allowed after phase 'plan'}}
  %0 = memref.alloc() : memref<4xf32>
  return
}

// -----

func.func private @k(%m: memref<4xf32>) attributes {lutra.kernel} {
  // expected-error @below {{'memref.dealloc' op is not allowed after phase 'plan'}}
  memref.dealloc %m : memref<4xf32>
  return
}

// -----

func.func private @k(%m: memref<4xf32>) attributes {lutra.kernel} {
  // expected-error @below {{'memref.realloc' op is not allowed after phase 'plan'}}
  %0 = memref.realloc %m : memref<4xf32> to memref<8xf32>
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'bufferization.alloc_tensor' op is not allowed after phase 'plan'}}
  %0 = bufferization.alloc_tensor() : tensor<4xf32>
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'func.call' op is not allowed after phase 'plan'}}
  func.call @f() : () -> ()
  return
}
func.func private @f()

// -----

func.func private @k(%b: i1) attributes {lutra.kernel} {
  // expected-error @below {{'cf.assert' op is not allowed after phase 'plan'}}
  cf.assert %b, "no"
  return
}

// -----

func.func @main() {
  // expected-error @below {{'arith.constant' op holds a constant of 1028 bytes after phase 'plan': expected at most 1024}}
  %0 = arith.constant dense<"0x0000803F00000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040"> : vector<257xf32>
  return
}

// -----

// A splat is one element, whatever its shape.
func.func @main() {
  %0 = arith.constant dense<1.0> : vector<257xf32>
  return
}

// -----

// expected-error @below {{'func.func' op has a tensor after phase 'plan': expected buffers only}}
func.func @main(%x: tensor<4xf32>) {
  return
}

// -----

// expected-error @below {{'func.func' op has a tensor after phase 'plan': expected buffers only}}
func.func private @k(%x: tensor<4xf32>) attributes {lutra.kernel} {
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'arith.constant' op has a tensor after phase 'plan'}}
  %0 = arith.constant dense<1.0> : tensor<4xf32>
  return
}
