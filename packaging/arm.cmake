# Toolchain for 32-bit ARM without an operating system: newlib, run by QEMU. Debian packages: gcc-arm-none-eabi
# libnewlib-arm-none-eabi qemu-user.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
# Debian's compiler does not tell newlib that there is an int64_t.
set(CMAKE_C_FLAGS_INIT "-mcpu=cortex-a7 -mfpu=auto -mfloat-abi=hard -marm -D__int64_t_defined=1")
string(APPEND CMAKE_C_FLAGS_INIT " -isystem ${CMAKE_CURRENT_LIST_DIR}/arm")
set(CMAKE_EXE_LINKER_FLAGS_INIT --specs=rdimon.specs)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-arm)
