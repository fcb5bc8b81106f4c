/* A libcuda.so.1 that computes on the CPU, to see what a probe says of a broken driver.
 *
 * gcc -shared -fPIC -O1 -Wl,-soname,libcuda.so.1 -o libcuda.so.1 cuda.c -lm
 *
 * It reads which kernel is asked for and for which GPU it was compiled, and no instruction of it:
 * `line`, `wrong` and `empty` are computed here. What shall go wrong is in the environment:
 *
 *   MLENV_FAKE_INIT, _OPEN, _LOAD, _MEMORY   the status of cuInit, of the context, of loading a
 *                                            module, of taking memory
 *   MLENV_FAKE_DRIVER_CUDA                   13000: the newest CUDA that the driver runs
 *   MLENV_FAKE_PTX                           90: the newest PTX that its compiler reads
 *   MLENV_FAKE_SM, _DEVICES, _MIG            90, 1, 0
 *   MLENV_FAKE_KERNEL                        noop nan tail overrun bitflip hang segfault launch
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int Status;
enum { INVALID = 1, NOT_STARTED = 3, BAD_DEVICE = 101, BAD_IMAGE = 200, NO_IMAGE = 209,
       BAD_PTX = 218, NEW_PTX = 222, NOT_FOUND = 500, LAUNCH = 719 };

static const struct { Status status; const char *name, *text; } statuses[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {221, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "PTX JIT compiler library not found"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain."},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
     "forward compatibility was attempted on non supported HW"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static int setting(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}
static int fault(const char *word) {
    const char *text = getenv("MLENV_FAKE_KERNEL");
    return text && !strcmp(text, word);
}
static int sm(void) { return setting("MLENV_FAKE_SM", 90); }
static int started, capturing;
static Status sticky; /* as on a GPU: after a failed launch every call fails */

static Status said(Status status, const char **out, int text) {
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status) {
            *out = text ? statuses[i].text : statuses[i].name;
            return 0;
        }
    *out = 0;
    return INVALID;
}
Status cuGetErrorName(Status status, const char **out) { return said(status, out, 0); }
Status cuGetErrorString(Status status, const char **out) { return said(status, out, 1); }

/* The driver and its devices. */

Status cuInit(unsigned flags) {
    (void)flags;
    Status status = setting("MLENV_FAKE_INIT", 0);
    started = !status;
    return status;
}
Status cuDriverGetVersion(int *out) {
    *out = setting("MLENV_FAKE_DRIVER_CUDA", 13000);
    return 0;
}
Status cuDeviceGetCount(int *out) {
    *out = setting("MLENV_FAKE_DEVICES", 1);
    return started ? 0 : NOT_STARTED;
}
Status cuDeviceGet(int *out, int index) {
    *out = index;
    return index < setting("MLENV_FAKE_DEVICES", 1) ? 0 : BAD_DEVICE;
}
Status cuDeviceGetName(char *out, int size, int device) {
    (void)device;
    int mig = setting("MLENV_FAKE_MIG", 0);
    snprintf(out, size, "NVIDIA H200 (fake)%s", mig ? " MIG 1g.18gb" : "");
    return 0;
}
Status cuDeviceTotalMem_v2(size_t *out, int device) {
    (void)device;
    *out = (size_t)143771 << 20;
    return 0;
}
Status cuDeviceGetUuid_v2(unsigned char *out, int device) {
    for (int i = 0; i < 16; i++) out[i] = (unsigned char)(17 * i + device);
    return 0;
}
Status cuDeviceGetAttribute(int *out, int attribute, int device) {
    (void)device;
    switch (attribute) {
        case 13: *out = 1980000; break; /* kHz */
        case 16: *out = 132; break;     /* multiprocessors */
        case 36: *out = 3201000; break; /* kHz of the memory */
        case 37: *out = 6144; break;    /* bits of its bus */
        case 75: *out = sm() / 10; break;
        case 76: *out = sm() % 10; break;
        default: *out = 0;
    }
    return 0;
}
Status cuDevicePrimaryCtxRetain(void **out, int device) {
    static int context;
    (void)device;
    *out = &context;
    return started ? setting("MLENV_FAKE_OPEN", 0) : NOT_STARTED;
}
Status cuCtxSetCurrent(void *context) {
    (void)context;
    return 0;
}
Status cuCtxSynchronize(void) {
    if (fault("hang"))
        for (;;) pause();
    return sticky;
}

/* Modules: a cubin tells its GPU in the header, PTX in its text. */

static Status cubin(const unsigned char *image) {
    uint16_t machine;
    uint32_t flags;
    memcpy(&machine, image + 18, 2);
    memcpy(&flags, image + 48, 4);
    int made = image[8] >= 8 ? (flags >> 8) & 255 : flags & 255; /* CUDA 13 moved it */
    if (machine != 190) return BAD_IMAGE;
    return made / 10 == sm() / 10 && made % 10 <= sm() % 10 ? 0 : NO_IMAGE;
}
static Status ptx(const char *text, char *log, size_t size) {
    int major, minor, made, most = setting("MLENV_FAKE_PTX", 90);
    const char *version = strstr(text, ".version "), *target = strstr(text, ".target sm_");
    if (!version || !target || sscanf(version, ".version %d.%d", &major, &minor) != 2)
        return BAD_PTX;
    made = atoi(target + 11);
    if (10 * major + minor > most) {
        snprintf(log, size, "ptxas fatal   : Unsupported .version %d.%d; current version is '%d.%d'",
                 major, minor, most / 10, most % 10);
        return NEW_PTX;
    }
    return made <= sm() ? 0 : NO_IMAGE;
}
Status cuModuleLoadDataEx(void **out, const void *image, unsigned count, int *options,
                          void **values) {
    char log[200] = "";
    Status status = setting("MLENV_FAKE_LOAD", 0);
    if (!status)
        status = memcmp(image, "\177ELF", 4) ? ptx(image, log, sizeof log) : cubin(image);
    for (unsigned i = 0; i < count; i++)
        if (options[i] == 5) strcpy(values[i], log);
    *out = calloc(1, 1);
    return status;
}
Status cuModuleGetFunction(void **out, void *module, const char *name) {
    (void)module;
    int known = !strcmp(name, "line") || !strcmp(name, "wrong") || !strcmp(name, "empty");
    *out = strdup(name);
    return known ? 0 : NOT_FOUND;
}

/* Memory: an address of the device is one of this process. */

static void *at(uint64_t address) { return (void *)(uintptr_t)address; }
Status cuMemAlloc_v2(uint64_t *out, size_t size) {
    Status status = setting("MLENV_FAKE_MEMORY", 0);
    if (!status) *out = (uint64_t)(uintptr_t)malloc(size);
    return status;
}
Status cuMemFree_v2(uint64_t address) {
    free(at(address));
    return 0;
}
Status cuMemGetInfo_v2(size_t *free_, size_t *total) {
    *free_ = (size_t)64 << 20;
    *total = (size_t)143771 << 20;
    return 0;
}
Status cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size) {
    memcpy(at(to), from, size);
    return sticky;
}
Status cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) {
    memcpy(to, at(from), size);
    return sticky;
}
Status cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t size, void *stream) {
    (void)stream;
    memcpy(at(to), at(from), size);
    return sticky;
}
Status cuMemsetD32_v2(uint64_t to, unsigned word, size_t count) {
    for (size_t i = 0; i < count; i++) ((unsigned *)at(to))[i] = word;
    return sticky;
}

/* Launches. */

static void line(unsigned threads, unsigned block, void **arguments, float sign) {
    float a = *(float *)arguments[0];
    float *x = at(*(uint64_t *)arguments[1]), *y = at(*(uint64_t *)arguments[2]);
    float *out = at(*(uint64_t *)arguments[3]);
    unsigned count = *(unsigned *)arguments[4], end = count;
    if (fault("tail")) end = count - count % block;
    for (unsigned i = 0; i < end; i++) out[i] = fmaf(a, x[i], sign * y[i]);
    if (fault("nan")) out[count / 2] = NAN;
    if (fault("overrun"))
        for (unsigned i = count; i < threads; i++) out[i] = 1;
    if (fault("bitflip")) {
        uint32_t word;
        memcpy(&word, out + count / 3, 4);
        word ^= 1u << 18;
        memcpy(out + count / 3, &word, 4);
    }
}
Status cuLaunchKernel(void *kernel, unsigned grid, unsigned grid_y, unsigned grid_z, unsigned block,
                      unsigned block_y, unsigned block_z, unsigned shared, void *stream,
                      void **arguments, void **extra) {
    (void)grid_y, (void)grid_z, (void)block_y, (void)block_z, (void)shared, (void)stream;
    (void)extra;
    if (fault("segfault")) *(volatile int *)8 = 1;
    if (fault("launch")) sticky = LAUNCH;
    if (capturing || sticky || fault("noop")) return 0;
    if (!strcmp(kernel, "line")) line(grid * block, block, arguments, 1);
    if (!strcmp(kernel, "wrong")) line(grid * block, block, arguments, -1);
    return 0;
}

/* Streams, events, graphs: all that was asked for is done at once. */

Status cuStreamCreate(void **out, unsigned flags) {
    (void)flags;
    *out = calloc(1, 1);
    return 0;
}
Status cuStreamSynchronize(void *stream) {
    (void)stream;
    return cuCtxSynchronize();
}
Status cuEventCreate(void **out, unsigned flags) {
    (void)flags;
    *out = calloc(1, sizeof(struct timespec));
    return 0;
}
Status cuEventDestroy_v2(void *event) {
    free(event);
    return 0;
}
Status cuEventRecord(void *event, void *stream) {
    (void)stream;
    clock_gettime(CLOCK_MONOTONIC, event);
    return 0;
}
Status cuEventSynchronize(void *event) {
    (void)event;
    return sticky;
}
Status cuEventElapsedTime(float *out, void *first, void *last) {
    struct timespec *a = first, *b = last;
    *out = (float)((b->tv_sec - a->tv_sec) * 1e3 + (b->tv_nsec - a->tv_nsec) / 1e6);
    return 0;
}
Status cuStreamBeginCapture_v2(void *stream, int mode) {
    (void)stream, (void)mode;
    capturing = 1;
    return 0;
}
Status cuStreamEndCapture(void *stream, void **out) {
    (void)stream;
    capturing = 0;
    *out = calloc(1, 1);
    return 0;
}
Status cuGraphInstantiateWithFlags(void **out, void *graph, unsigned long long flags) {
    (void)graph, (void)flags;
    *out = calloc(1, 1);
    return 0;
}
Status cuGraphLaunch(void *graph, void *stream) {
    (void)graph, (void)stream;
    return sticky;
}

/* NVRTC 13.2 opens the driver for a table that is in no header; it does without. */

Status cuGetExportTable(const void **out, const void *id) {
    (void)id;
    *out = 0;
    return NOT_FOUND;
}
