// RUN: lutra-opt %s --pass-pipeline='builtin.module(func.func(split-columns,canonicalize,cse))' | FileCheck %s

// What is joined only to be gone over and cut off again.

#id = affine_map<(p, m) -> (p, m)>
#row = affine_map<(p, m) -> (p)>

// The maximum and the sum take the column last; nothing is as long as both.
// CHECK-LABEL: func.func @column
// CHECK-NOT: tensor.insert_slice
// CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<8x64xf32>) outs(%{{.*}} : tensor<8xf32>)
// CHECK: arith.maximumf
// CHECK: %[[MAX:.*]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%arg1, %[[M]] : tensor<8x1xf32>, tensor<8xf32>)
// CHECK: arith.maximumf
// CHECK: %[[E:.*]] = linalg.generic {{.*}} ins(%arg0, %[[MAX]] : tensor<8x64xf32>, tensor<8xf32>)
// CHECK: math.exp
// CHECK: %[[C:.*]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%arg1, %[[MAX]] : tensor<8x1xf32>, tensor<8xf32>)
// CHECK: math.exp
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[E]] : tensor<8x64xf32>)
// CHECK: arith.addf
// CHECK: %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[C]], %[[S]] : tensor<8xf32>, tensor<8xf32>)
// CHECK: arith.addf
// CHECK: %[[R:.*]] = linalg.generic {{.*}} ins(%[[E]], %[[SUM]] :
// CHECK: return %[[R]]
func.func @column(%x: tensor<8x64xf32>, %c: tensor<8x1xf32>) -> tensor<8x64xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ej = tensor.empty() : tensor<8x65xf32>
  %j0 = tensor.insert_slice %x into %ej[0, 0] [8, 64] [1, 1] : tensor<8x64xf32> into tensor<8x65xf32>
  %j = tensor.insert_slice %c into %j0[0, 64] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x65xf32>
  %emax = tensor.empty() : tensor<8xf32>
  %fmax = linalg.fill ins(%low : f32) outs(%emax : tensor<8xf32>) -> tensor<8xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%j : tensor<8x65xf32>) outs(%fmax : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %exp = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%j, %max : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %d = arith.subf %a, %y : f32
    %z = math.exp %d : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %esum = tensor.empty() : tensor<8xf32>
  %fsum = linalg.fill ins(%zero : f32) outs(%esum : tensor<8xf32>) -> tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<8x65xf32>) outs(%fsum : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %w = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %z = arith.divf %a, %y : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %r = tensor.extract_slice %w[0, 0] [8, 64] [1, 1] : tensor<8x65xf32> to tensor<8x64xf32>
  return %r : tensor<8x64xf32>
}

// The same with the column first.
// CHECK-LABEL: func.func @before
// CHECK-NOT: tensor.insert_slice
// CHECK: return %{{.*}} : tensor<8x64xf32>
func.func @before(%x: tensor<8x64xf32>, %c: tensor<8x1xf32>) -> tensor<8x64xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ej = tensor.empty() : tensor<8x65xf32>
  %j0 = tensor.insert_slice %c into %ej[0, 0] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x65xf32>
  %j = tensor.insert_slice %x into %j0[0, 1] [8, 64] [1, 1] : tensor<8x64xf32> into tensor<8x65xf32>
  %emax = tensor.empty() : tensor<8xf32>
  %fmax = linalg.fill ins(%low : f32) outs(%emax : tensor<8xf32>) -> tensor<8xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%j : tensor<8x65xf32>) outs(%fmax : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %exp = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%j, %max : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %d = arith.subf %a, %y : f32
    %z = math.exp %d : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %esum = tensor.empty() : tensor<8xf32>
  %fsum = linalg.fill ins(%zero : f32) outs(%esum : tensor<8xf32>) -> tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<8x65xf32>) outs(%fsum : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %w = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %z = arith.divf %a, %y : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %r = tensor.extract_slice %w[0, 1] [8, 64] [1, 1] : tensor<8x65xf32> to tensor<8x64xf32>
  return %r : tensor<8x64xf32>
}

// What is cut off is not the column.
// CHECK-LABEL: func.func @shifted
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK: tensor.extract_slice
func.func @shifted(%x: tensor<8x64xf32>, %c: tensor<8x1xf32>) -> tensor<8x64xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ej = tensor.empty() : tensor<8x65xf32>
  %j0 = tensor.insert_slice %x into %ej[0, 0] [8, 64] [1, 1] : tensor<8x64xf32> into tensor<8x65xf32>
  %j = tensor.insert_slice %c into %j0[0, 64] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x65xf32>
  %emax = tensor.empty() : tensor<8xf32>
  %fmax = linalg.fill ins(%low : f32) outs(%emax : tensor<8xf32>) -> tensor<8xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%j : tensor<8x65xf32>) outs(%fmax : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %exp = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%j, %max : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %d = arith.subf %a, %y : f32
    %z = math.exp %d : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %esum = tensor.empty() : tensor<8xf32>
  %fsum = linalg.fill ins(%zero : f32) outs(%esum : tensor<8xf32>) -> tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<8x65xf32>) outs(%fsum : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %w = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %z = arith.divf %a, %y : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %r = tensor.extract_slice %w[0, 1] [8, 64] [1, 1] : tensor<8x65xf32> to tensor<8x64xf32>
  return %r : tensor<8x64xf32>
}

// All of it is the result.
// CHECK-LABEL: func.func @wanted
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
func.func @wanted(%x: tensor<8x64xf32>, %c: tensor<8x1xf32>) -> tensor<8x65xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ej = tensor.empty() : tensor<8x65xf32>
  %j0 = tensor.insert_slice %x into %ej[0, 0] [8, 64] [1, 1] : tensor<8x64xf32> into tensor<8x65xf32>
  %j = tensor.insert_slice %c into %j0[0, 64] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x65xf32>
  %emax = tensor.empty() : tensor<8xf32>
  %fmax = linalg.fill ins(%low : f32) outs(%emax : tensor<8xf32>) -> tensor<8xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%j : tensor<8x65xf32>) outs(%fmax : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %exp = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%j, %max : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %d = arith.subf %a, %y : f32
    %z = math.exp %d : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %esum = tensor.empty() : tensor<8xf32>
  %fsum = linalg.fill ins(%zero : f32) outs(%esum : tensor<8xf32>) -> tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%exp : tensor<8x65xf32>) outs(%fsum : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  %w = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]}
      ins(%exp, %sum : tensor<8x65xf32>, tensor<8xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %z = arith.divf %a, %y : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  return %w : tensor<8x65xf32>
}

// Two tensors are no tensor with a column.
// CHECK-LABEL: func.func @two_ranks
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
func.func @two_ranks(%x: tensor<8x64xf32>, %c: tensor<8x2xf32>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ej = tensor.empty() : tensor<8x66xf32>
  %j0 = tensor.insert_slice %x into %ej[0, 0] [8, 64] [1, 1] : tensor<8x64xf32> into tensor<8x66xf32>
  %j = tensor.insert_slice %c into %j0[0, 64] [8, 2] [1, 1] : tensor<8x2xf32> into tensor<8x66xf32>
  %emax = tensor.empty() : tensor<8xf32>
  %fmax = linalg.fill ins(%low : f32) outs(%emax : tensor<8xf32>) -> tensor<8xf32>
  %max = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%j : tensor<8x66xf32>) outs(%fmax : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.maximumf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  return %max : tensor<8xf32>
}

// Another tensor goes along all of it.
// CHECK-LABEL: func.func @along
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
func.func @along(%x: tensor<8x64xf32>, %c: tensor<8x1xf32>, %row: tensor<65xf32>) -> tensor<8xf32> {
  %zero = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ej = tensor.empty() : tensor<8x65xf32>
  %j0 = tensor.insert_slice %x into %ej[0, 0] [8, 64] [1, 1] : tensor<8x64xf32> into tensor<8x65xf32>
  %j = tensor.insert_slice %c into %j0[0, 64] [8, 1] [1, 1] : tensor<8x1xf32> into tensor<8x65xf32>
  %m = linalg.generic {indexing_maps = [#id, affine_map<(p, m) -> (m)>, #id], iterator_types = ["parallel", "parallel"]}
      ins(%j, %row : tensor<8x65xf32>, tensor<65xf32>) outs(%ej : tensor<8x65xf32>) {
  ^bb0(%a: f32, %y: f32, %acc: f32):
    %z = arith.mulf %a, %y : f32
    linalg.yield %z : f32
  } -> tensor<8x65xf32>
  %esum = tensor.empty() : tensor<8xf32>
  %fsum = linalg.fill ins(%zero : f32) outs(%esum : tensor<8xf32>) -> tensor<8xf32>
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]}
      ins(%m : tensor<8x65xf32>) outs(%fsum : tensor<8xf32>) {
  ^bb0(%a: f32, %acc: f32):
    %z = arith.addf %a, %acc : f32
    linalg.yield %z : f32
  } -> tensor<8xf32>
  return %sum : tensor<8xf32>
}
