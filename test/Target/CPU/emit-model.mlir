// RUN: lutra-opt --emit-model=name=affine %S/Inputs/affine_model.mlir | FileCheck %s
// RUN: not lutra-opt --emit-model=name=not-a-name %S/Inputs/affine_model.mlir 2>&1 | FileCheck --check-prefix=NAME %s

// NAME: error: expected a model name of letters, digits and '_', got 'not-a-name'

// The module remembers what the header will say.
// CHECK: module attributes {
// CHECK-SAME: lutra.model = {inputs = ["x: FLOAT[batch, 8]"], name = "affine", outputs = ["y: FLOAT[batch, 8]"]}

// The program is what the runtime calls, and each dispatch is framed by the hook.
// CHECK-NOT: @main
// CHECK-LABEL: func.func private @lutra_run(
// CHECK-SAME:    %[[CALL:[a-z0-9]+]]: !llvm.ptr
// CHECK:         %[[AT:.*]] = llvm.getelementptr %[[CALL]][48]
// CHECK:         %[[HOOK:.*]] = llvm.load %[[AT]]
// CHECK:         llvm.getelementptr %[[CALL]][56]
// CHECK:         %[[HOOKED:.*]] = llvm.icmp "ne" %[[HOOK]]
// CHECK:         scf.if %[[HOOKED]] {
// CHECK:           %[[FIRST:.*]] = arith.constant 0 : i64
// CHECK:           %[[BEGIN:.*]] = arith.constant 1 : i64
// CHECK:           llvm.call %[[HOOK]](%{{.*}}, %[[FIRST]], %[[BEGIN]])
// CHECK:         call @scale(%[[CALL]],
// CHECK:         scf.if %[[HOOKED]] {
// CHECK:           llvm.call %[[HOOK]]
// CHECK:         scf.if %[[HOOKED]] {
// CHECK:           %[[SECOND:.*]] = arith.constant 1 : i64
// CHECK:           llvm.call %[[HOOK]](%{{.*}}, %[[SECOND]]
// CHECK:         call @scale(%[[CALL]],
// CHECK:         scf.if %[[HOOKED]]
// CHECK:         return

// CHECK-LABEL: func.func private @lutra_plan(
// CHECK:         call @plan(
// CHECK-COUNT-3: llvm.store

// CHECK: llvm.mlir.global external constant @lutra_model_affine()
// CHECK:   llvm.mlir.constant(1095914572 : i32)
// CHECK:   constant @lutra_plan
// CHECK:   constant @lutra_run
