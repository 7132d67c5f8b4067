#include "lutra/Frontend/ONNX/Registry.h"
void mlir::lutra::addSamplingHandlers(Registry &) {}
