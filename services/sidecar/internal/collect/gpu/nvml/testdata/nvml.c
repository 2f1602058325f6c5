// A stand-in for NVIDIA's library, as far as the sidecar calls it: one whole card, and one that is divided, of which the
// container has one slice. The functions have the numbers after their names that the real library has.
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned int gpu, memory; } utilization;
typedef int *device;

enum { success = 0, uninitialized = 1, not_supported = 3, not_found = 6 };
static int cards[2], slice, begun;

int nvmlInit_v2(void) { begun++; return success; }
int nvmlShutdown(void) { begun--; return success; }
const char *nvmlErrorString(int result) { return result == not_supported ? "Not Supported" : "Something Else"; }
int nvmlDeviceGetCount_v2(unsigned int *n) { *n = 2; return begun ? success : uninitialized; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int i, device *d) { *d = &cards[i]; return success; }
int nvmlDeviceGetMigMode(device d, unsigned int *now, unsigned int *next) { *now = *next = d == &cards[1]; return success; }
int nvmlDeviceGetMaxMigDeviceCount(device d, unsigned int *n) { *n = 7; return success; }
int nvmlDeviceGetMigDeviceHandleByIndex(device d, unsigned int i, device *s) { *s = &slice; return i == 2 ? success : not_found; }
int nvmlDeviceGetUtilizationRates(device d, utilization *u) { u->gpu = 73; return d == &cards[0] ? success : not_supported; }
int nvmlDeviceGetPowerUsage(device d, unsigned int *mw) { *mw = 0; return not_supported; }
int nvmlDeviceGetMemoryInfo(device d, memory *m) { m->used = d == &slice ? 1ull << 30 : 3ull << 30; return success; }
