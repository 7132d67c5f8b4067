// After form: a host program of dispatches, and kernels on tensors.
// RUN: lutra-opt %s --verify-phase=phase=form --split-input-file --verify-diagnostics

// What the contract allows.
func.func @main(%x: tensor<4xf32>, %i: index) {
  %r0 = lutra.dim "n" min 1 max 8 multiple 1
  %r1 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> : tensor<4xf32>
  %r2 = lutra.dispatch @k[](%x) outs(%x : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  %r3 = tensor.empty() : tensor<4xf32>
  %r4 = arith.addi %i, %i : index
  %r5 = affine.apply affine_map<(d0) -> (d0 + 1)>(%i)
  return
}
func.func private @k2(%c: f32, %x: tensor<4xf32>, %i: index) attributes {lutra.kernel} {
  %r0 = linalg.fill ins(%c : f32) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  %r1 = tensor.empty() : tensor<4xf32>
  %r2 = tensor.insert %c into %x[%i] : tensor<4xf32>
  %r3 = arith.addi %i, %i : index
  %r4 = math.exp %c : f32
  %r5 = math.sqrt %c : f32
  scf.for %j = %i to %i step %i {
  }
  %r6 = affine.apply affine_map<(d0) -> (d0 + 1)>(%i)
  %r7 = tensor.dim %x, %i : tensor<4xf32>
  return
}
func.func private @k(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> attributes {lutra.kernel}

// -----

// expected-error @below {{'memref.global' op is not allowed after phase 'form'}}
memref.global @g : memref<4xf32>

// -----

// expected-error @below {{'llvm.func' op is not allowed after phase 'form'}}
llvm.func @g()

// -----

// expected-error @below {{'llvm.mlir.global' op is not allowed after phase 'form'}}
llvm.mlir.global @g() : i64

// -----

// expected-error @below {{'ml_program.global' op is not allowed after phase 'form'}}
ml_program.global private mutable @g : i64

// -----

func.func @main(%x: tensor<4xf32>) {
  // expected-error @below {{'onnx.node' op is not allowed after phase 'form'}}
  %0 = onnx.node "Relu" version 14 (%x) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'onnx.absent' op is not allowed after phase 'form'}}
  %0 = onnx.absent
  return
}

// -----

func.func @main(%c: f32, %x: tensor<4xf32>) {
  // expected-error @below {{'linalg.fill' op is not allowed after phase 'form'}}
  %0 = linalg.fill ins(%c : f32) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func @main(%d: tensor<?xf32>, %i: index) {
  // expected-error @below {{'tensor.dim' op is not allowed after phase 'form'}}
  %0 = tensor.dim %d, %i : tensor<?xf32>
  return
}

// -----

func.func @main(%x: tensor<4xf32>, %c: f32, %i: index) {
  // expected-error @below {{'tensor.insert' op is not allowed after phase 'form'}}
  %0 = tensor.insert %c into %x[%i] : tensor<4xf32>
  return
}

// -----

func.func @main(%c: f32) {
  // expected-error @below {{'math.exp' op is not allowed after phase 'form'}}
  %0 = math.exp %c : f32
  return
}

// -----

func.func @main(%c: f32) {
  // expected-error @below {{'math.sqrt' op is not allowed after phase 'form'}}
  %0 = math.sqrt %c : f32
  return
}

// -----

func.func @main(%i: index) {
  // expected-error @below {{'scf.for' op is not allowed after phase 'form'}}
  scf.for %j = %i to %i step %i {
  }
  return
}

// -----

func.func @main() {
  // expected-error @below {{'scf.forall' op is not allowed after phase 'form'}}
  scf.forall (%j) in (4) {
  }
  return
}

// -----

func.func @main() {
  // expected-error @below {{'affine.for' op is not allowed after phase 'form'}}
  affine.for %j = 0 to 4 {
  }
  return
}

// -----

func.func @main(%c: f32) {
  // expected-error @below {{'vector.broadcast' op is not allowed after phase 'form'}}
  %0 = vector.broadcast %c : f32 to vector<4xf32>
  return
}

// -----

func.func @main(%m: memref<4xf32>, %i: index) {
  // expected-error @below {{'memref.alloc' op is not allowed after phase 'form'}}
  %0 = memref.alloc() : memref<4xf32>
  // expected-error @below {{'memref.alloca' op is not allowed after phase 'form'}}
  %1 = memref.alloca() : memref<4xf32>
  // expected-error @below {{'memref.dealloc' op is not allowed after phase 'form'}}
  memref.dealloc %m : memref<4xf32>
  // expected-error @below {{'memref.realloc' op is not allowed after phase 'form'}}
  %2 = memref.realloc %m : memref<4xf32> to memref<8xf32>
  // expected-error @below {{'memref.load' op is not allowed after phase 'form'}}
  %3 = memref.load %m[%i] : memref<4xf32>
  // expected-error @below {{'memref.subview' op is not allowed after phase 'form'}}
  %4 = memref.subview %m[0] [2] [1] : memref<4xf32> to memref<2xf32, strided<[1]>>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'bufferization.alloc_tensor' op is not allowed after phase 'form'}}
  %0 = bufferization.alloc_tensor() : tensor<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error @below {{'func.call' op is not allowed after phase 'form'}}
  func.call @f() : () -> ()
  return
}
func.func private @f()

// -----

func.func @main(%b: i1) {
  // expected-error @below {{'cf.assert' op is not allowed after phase 'form'}}
  cf.assert %b, "no"
  return
}

// -----

func.func @main() {
  // expected-error @below {{'llvm.mlir.constant' op is not allowed after phase 'form'}}
  %0 = llvm.mlir.constant(1 : i64) : i64
  return
}

// -----

func.func @main() {
  // expected-error @below {{'ub.poison' op is not allowed after phase 'form'}}
  %0 = ub.poison : f32
  return
}

// -----

func.func private @k(%x: tensor<4xf32>) attributes {lutra.kernel} {
  // expected-error @below {{'onnx.node' op is not allowed after phase 'form'}}
  %0 = onnx.node "Relu" version 14 (%x) : (tensor<4xf32>) -> tensor<4xf32>
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'onnx.absent' op is not allowed after phase 'form'}}
  %0 = onnx.absent
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'lutra.dim' op is not allowed after phase 'form'}}
  %0 = lutra.dim "n" min 1 max 8 multiple 1
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'lutra.weight' op is not allowed after phase 'form'}}
  %0 = lutra.weight "w" from "m.onnx"[0, 16] storage tensor<4xf32> : tensor<4xf32>
  return
}

// -----

func.func private @outer(%x: tensor<4xf32>) attributes {lutra.kernel} {
  // expected-error @below {{'lutra.dispatch' op is not allowed after phase 'form'}}
  %0 = lutra.dispatch @k[](%x) outs(%x : tensor<4xf32>) : (tensor<4xf32>) -> tensor<4xf32>
  return
}
func.func private @k(tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>

// -----

// A loop over time is distributed before it is a kernel.
func.func private @k() attributes {lutra.kernel} {
  scf.forall (%j) in (4) {
  }
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'affine.for' op is not allowed after phase 'form'}}
  affine.for %j = 0 to 4 {
  }
  return
}

// -----

func.func private @k(%c: f32) attributes {lutra.kernel} {
  // expected-error @below {{'vector.broadcast' op is not allowed after phase 'form'}}
  %0 = vector.broadcast %c : f32 to vector<4xf32>
  return
}

// -----

func.func private @k(%m: memref<4xf32>, %i: index) attributes {lutra.kernel} {
  // expected-error @below {{'memref.alloc' op is not allowed after phase 'form'}}
  %0 = memref.alloc() : memref<4xf32>
  // expected-error @below {{'memref.alloca' op is not allowed after phase 'form'}}
  %1 = memref.alloca() : memref<4xf32>
  // expected-error @below {{'memref.dealloc' op is not allowed after phase 'form'}}
  memref.dealloc %m : memref<4xf32>
  // expected-error @below {{'memref.realloc' op is not allowed after phase 'form'}}
  %2 = memref.realloc %m : memref<4xf32> to memref<8xf32>
  // expected-error @below {{'memref.load' op is not allowed after phase 'form'}}
  %3 = memref.load %m[%i] : memref<4xf32>
  // expected-error @below {{'memref.subview' op is not allowed after phase 'form'}}
  %4 = memref.subview %m[0] [2] [1] : memref<4xf32> to memref<2xf32, strided<[1]>>
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'bufferization.alloc_tensor' op is not allowed after phase 'form'}}
  %0 = bufferization.alloc_tensor() : tensor<4xf32>
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'func.call' op is not allowed after phase 'form'}}
  func.call @f() : () -> ()
  return
}
func.func private @f()

// -----

func.func private @k(%b: i1) attributes {lutra.kernel} {
  // expected-error @below {{'cf.assert' op is not allowed after phase 'form'}}
  cf.assert %b, "no"
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'llvm.mlir.constant' op is not allowed after phase 'form'}}
  %0 = llvm.mlir.constant(1 : i64) : i64
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'ub.poison' op is not allowed after phase 'form'}}
  %0 = ub.poison : f32
  return
}

// -----

func.func @main() {
  // expected-error @below {{'arith.constant' op holds a constant of 1028 bytes after phase 'form': expected at most 1024}}
  %0 = arith.constant dense<"0x0000803F00000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040000000400000004000000040"> : tensor<257xf32>
  return
}

// -----

// A splat is one element, whatever its shape.
func.func @main() {
  %0 = arith.constant dense<1.0> : tensor<257xf32>
  return
}

// -----

// expected-error @below {{'func.func' op has an encoded tensor after phase 'form': expected physical shapes only}}
func.func @main(%x: tensor<4xf32, "packed">) {
  return
}

// -----

func.func private @k() attributes {lutra.kernel} {
  // expected-error @below {{'tensor.empty' op has an encoded tensor after phase 'form'}}
  %0 = tensor.empty() : tensor<4xf32, "packed">
  return
}
