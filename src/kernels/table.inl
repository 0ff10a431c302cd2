// Builds a whole bundle's KernelTable, for inclusion inside the bundle's namespace after family.inl.

const KernelTable& table() {
  static constexpr KernelTable kTable = {
      .bundle = XDN_STRING(XDN_BUNDLE),
      .lanes = Vec::kLanes,
      .gemm = {make_family<F32>(), make_family<Bf16>(), make_family<I8>()},
      .maximum = &maximum,
      .average = &average,
      .average_strided = &average_strided,
      .binary = &binary,
      .binary_channels = &binary_channels,
      .unary = &unary,
      .depthwise = &depthwise,
      .add_u8 = &add_u8,
      .convert = &convert,
  };
  return kTable;
}
