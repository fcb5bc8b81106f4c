/* A libnvidia-ml.so.1 that tells what the environment says; nvidia-ml-py can read it too.
 *
 * gcc -shared -fPIC -O1 -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 nvml.c
 *
 *   MLENV_FAKE_NVML_INIT, _NVML_DEVICE   the status of starting, of asking for a device
 *   MLENV_FAKE_MIG, _ECC, _THROTTLE, _MODE   0, 0, 1, 0
 *   MLENV_FAKE_DRIVER_CUDA, _DEVICES     as for libcuda
 */
#include <stdio.h>
#include <stdlib.h>

static int setting(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}
enum { SLICE = 100 }; /* handles above it are MIG devices */

const char *nvmlErrorString(int status) {
    switch (status) {
        case 0: return "Success";
        case 4: return "Insufficient Permissions";
        case 9: return "Driver Not Loaded";
        case 15: return "GPU is lost";
        case 16: return "GPU requires reset";
        case 18: return "Driver/library version mismatch";
        default: return "Unknown Error";
    }
}
int nvmlInit_v2(void) { return setting("MLENV_FAKE_NVML_INIT", 0); }
int nvmlInitWithFlags(unsigned flags) { (void)flags; return nvmlInit_v2(); }
int nvmlShutdown(void) { return 0; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    snprintf(out, size, "580.65.06");
    return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int *out) {
    *out = setting("MLENV_FAKE_DRIVER_CUDA", 13000);
    return 0;
}
int nvmlDeviceGetCount_v2(unsigned *out) { *out = setting("MLENV_FAKE_DEVICES", 1); return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    *out = (void *)(long)(index + 1);
    return setting("MLENV_FAKE_NVML_DEVICE", 0);
}
int nvmlDeviceGetName(void *device, char *out, unsigned size) {
    (void)device;
    snprintf(out, size, "NVIDIA H200 (fake)");
    return 0;
}
int nvmlDeviceGetUUID(void *device, char *out, unsigned size) {
    const char *kind = (long)device > SLICE ? "MIG" : "GPU";
    snprintf(out, size, "%s-00112233-4455-6677-8899-aabbccdde%03ld", kind, (long)device);
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *out) {
    (void)device;
    out[0] = 143771ull << 20, out[2] = 500ull << 20, out[1] = out[0] - out[2];
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
    (void)device;
    *major = setting("MLENV_FAKE_SM", 90) / 10, *minor = setting("MLENV_FAKE_SM", 90) % 10;
    return 0;
}
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *then) {
    (void)device;
    *now = *then = setting("MLENV_FAKE_MIG", 0) > 0;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *out) {
    (void)device;
    *out = 7;
    return 0;
}
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **out) {
    *out = (void *)((long)device * SLICE + index + 1);
    return (int)index < setting("MLENV_FAKE_MIG", 0) ? 0 : 6; /* not found */
}
int nvmlDeviceGetEccMode(void *device, unsigned *now, unsigned *then) {
    (void)device;
    *now = *then = 1;
    return 0;
}
int nvmlDeviceGetTotalEccErrors(void *device, int kind, int since, unsigned long long *out) {
    (void)device, (void)kind, (void)since;
    *out = setting("MLENV_FAKE_ECC", 0);
    return 0;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *out) {
    (void)device;
    *out = setting("MLENV_FAKE_THROTTLE", 1);
    return 0;
}
int nvmlDeviceGetComputeMode(void *device, unsigned *out) {
    (void)device;
    *out = setting("MLENV_FAKE_MODE", 0);
    return 0;
}
int nvmlDeviceGetPersistenceMode(void *device, unsigned *out) {
    (void)device;
    *out = 1;
    return 0;
}
int nvmlDeviceGetClockInfo(void *device, unsigned kind, unsigned *out) {
    (void)device;
    *out = kind == 2 ? 3201 : 345;
    return 0;
}
int nvmlDeviceGetMaxClockInfo(void *device, unsigned kind, unsigned *out) {
    (void)device;
    *out = kind == 2 ? 3201 : 1980;
    return 0;
}
