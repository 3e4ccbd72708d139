// SPDX-License-Identifier: GPL-2.0
/* cxxrt on Linux: log, time, random numbers, checksums. */
#include <linux/bug.h>
#include <linux/crc32.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/stdarg.h>
#include <linux/timekeeping.h>

#include "cxxrt/runtime.h"

/* What is damaged may be met again and again. */
static DEFINE_RATELIMIT_STATE(tarn_log_rate, 5 * HZ, 100);

/* "tarnfs: text", or "tarnfs (pmem0): text". */
static void log_line(enum tarn_log_level level, const char *name, struct va_format *text)
{
	const char *open = *name ? " (" : "";
	const char *close = *name ? ")" : "";

	if (level != TARN_LOG_INFO && !__ratelimit(&tarn_log_rate))
		return;
	if (level == TARN_LOG_ERROR)
		pr_err("%s%s%s%s: %pV\n", THIS_MODULE->name, open, name, close, text);
	else if (level == TARN_LOG_WARNING)
		pr_warn("%s%s%s%s: %pV\n", THIS_MODULE->name, open, name, close, text);
	else
		pr_info("%s%s%s%s: %pV\n", THIS_MODULE->name, open, name, close, text);
}

void tarn_log(enum tarn_log_level level, const char *format, ...)
{
	struct va_format text;
	va_list arguments;

	va_start(arguments, format);
	text.fmt = format;
	text.va = &arguments;
	log_line(level, "", &text);
	va_end(arguments);
}

void tarn_log_device(const struct tarn_device *device, enum tarn_log_level level, const char *format, ...)
{
	struct va_format text;
	va_list arguments;

	va_start(arguments, format);
	text.fmt = format;
	text.va = &arguments;
	log_line(level, device->name, &text);
	va_end(arguments);
}

void tarn_bug(const char *file, int line, const char *what)
{
	WARN(1, "%s: %s:%d: %s\n", THIS_MODULE->name, file, line, what);
}

void tarn_time_now(struct tarn_time *now)
{
	struct timespec64 time;

	ktime_get_coarse_real_ts64(&time);
	now->seconds = time.tv_sec;
	now->nanoseconds = time.tv_nsec;
}

unsigned int tarn_cpu_current(void)
{
	return raw_smp_processor_id();
}

void tarn_task_yield(void)
{
	cond_resched();
}

unsigned long tarn_task_id(void)
{
	return (unsigned long)current;
}

unsigned int tarn_random32(void)
{
	return get_random_u32();
}

#ifdef CONFIG_X86_64
#include <asm/cpufeature.h>

static u32 crc32c_hardware(u32 crc, const u8 *data, size_t length)
{
	u64 wide = crc;

	for (; length >= 8; length -= 8, data += 8)
		asm("crc32q %1, %0" : "+r"(wide) : "rm"(*(const u64 *)data));
	crc = wide;
	for (; length; length--, data++)
		asm("crc32b %1, %0" : "+r"(crc) : "rm"(*data));
	return crc;
}

unsigned int tarn_crc32c(unsigned int seed, const void *data, tarn_size_t length)
{
	if (static_cpu_has(X86_FEATURE_XMM4_2))
		return crc32c_hardware(seed, data, length);
	return __crc32c_le(seed, data, length);
}
#else
unsigned int tarn_crc32c(unsigned int seed, const void *data, tarn_size_t length)
{
	return __crc32c_le(seed, data, length);
}
#endif
