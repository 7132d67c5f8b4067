// RUN: lutra-opt %s --split-run=calls=1 | FileCheck %s
// RUN: lutra-opt %s --split-run=calls=3 | FileCheck --check-prefix=WHOLE %s

// Hooks aside, a call is a third of what it may be: three are a part at most. Each takes
// numbers and pointers, also those that are known only after others' calls, and
// makes the views that it reads.
// CHECK-LABEL: func.func private @lutra_run(
// CHECK-SAME:    %[[CALL:[a-z0-9]+]]: !llvm.ptr
// CHECK:         %[[DATA:.*]] = llvm.load
// CHECK-NOT:     call
// CHECK:         %[[NEXT:.*]] = arith.addi
// CHECK:         call @lutra_run_part(%[[CALL]], %[[DATA]], %{{.*}}, %[[NEXT]])
// CHECK:         llvm.store
// CHECK:         call @lutra_run_part_0(%[[CALL]], %[[DATA]], %{{.*}})
// CHECK-NEXT:    return

// What writes by itself keeps its place.
// CHECK-LABEL: func.func private @lutra_run_part(
// CHECK-SAME:    !llvm.ptr, %[[BUFFER:[a-z0-9]+]]: !llvm.ptr, %[[SIZE:[a-z0-9]+]]: index, %[[AFTER:[a-z0-9]+]]: index) attributes {no_inline}
// CHECK:         %[[BYTES:.*]] = builtin.unrealized_conversion_cast
// CHECK:         memref.view %[[BYTES]]{{.*}}[%[[SIZE]]]
// CHECK:         memref.view %[[BYTES]]{{.*}}[%[[AFTER]]]
// CHECK-COUNT-2: call @kernel(
// CHECK-NEXT:    return
// CHECK-LABEL: func.func private @lutra_run_part_0(
// CHECK-SAME:    !llvm.ptr, %{{[a-z0-9]+}}: !llvm.ptr, %{{[a-z0-9]+}}: index) attributes {no_inline}
// CHECK-COUNT-2: call @kernel(
// CHECK-NEXT:    return

// WHOLE-NOT: @lutra_run_part
func.func private @kernel(!llvm.ptr, memref<?xf32>)
func.func private @lutra_run(%call: !llvm.ptr) {
  %at = llvm.getelementptr %call[8] : (!llvm.ptr) -> !llvm.ptr, i8
  %data = llvm.load %at : !llvm.ptr -> !llvm.ptr
  %none = llvm.mlir.poison : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
  %struct = llvm.insertvalue %data, %none[1] : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)>
  %bytes = builtin.unrealized_conversion_cast %struct : !llvm.struct<(ptr, ptr, i64, array<1 x i64>, array<1 x i64>)> to memref<?xi8>
  %number = llvm.load %call : !llvm.ptr -> i64
  %size = arith.index_cast %number : i64 to index
  %c0 = arith.constant 0 : index
  %c64 = arith.constant 64 : index
  %x = memref.view %bytes[%c0][%size] : memref<?xi8> to memref<?xf32>
  call @kernel(%call, %x) : (!llvm.ptr, memref<?xf32>) -> ()
  %next = arith.addi %size, %c64 : index
  %y = memref.view %bytes[%c0][%next] : memref<?xi8> to memref<?xf32>
  call @kernel(%call, %y) : (!llvm.ptr, memref<?xf32>) -> ()
  llvm.store %number, %call : i64, !llvm.ptr
  call @kernel(%call, %x) : (!llvm.ptr, memref<?xf32>) -> ()
  %z = memref.view %bytes[%c0][%c64] : memref<?xi8> to memref<?xf32>
  call @kernel(%call, %z) : (!llvm.ptr, memref<?xf32>) -> ()
  return
}
