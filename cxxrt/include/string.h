/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For libstdc++'s <cstring>, which repeats all of these in namespace std. The kernel exports the functions under the
 * C library's names and with their meaning, except those marked absent: a call of one of them is a compile error.
 */
#ifndef TARN_FREESTANDING_STRING_H
#define TARN_FREESTANDING_STRING_H

#define TARN_ABSENT __attribute__((error("this function does not exist in the kernel")))

extern "C" {

using size_t = decltype(sizeof(0));

void *memcpy(void *target, const void *source, size_t length) noexcept;
void *memmove(void *target, const void *source, size_t length) noexcept;
void *memset(void *target, int value, size_t length) noexcept;
int memcmp(const void *a, const void *b, size_t length) noexcept;
void *memchr(const void *memory, int value, size_t length) noexcept;
size_t strlen(const char *text) noexcept;
int strcmp(const char *a, const char *b) noexcept;
int strncmp(const char *a, const char *b, size_t length) noexcept;
char *strchr(const char *text, int character) noexcept;
char *strrchr(const char *text, int character) noexcept;
char *strstr(const char *text, const char *part) noexcept;
char *strpbrk(const char *text, const char *set) noexcept;
size_t strspn(const char *text, const char *set) noexcept;
size_t strcspn(const char *text, const char *set) noexcept;
char *strcpy(char *target, const char *source) noexcept;
char *strncpy(char *target, const char *source, size_t length) noexcept;
char *strcat(char *target, const char *source) noexcept;
char *strncat(char *target, const char *source, size_t length) noexcept;

int strcoll(const char *a, const char *b) noexcept TARN_ABSENT;
size_t strxfrm(char *target, const char *source, size_t length) noexcept TARN_ABSENT;
char *strerror(int error) noexcept TARN_ABSENT;
char *strtok(char *text, const char *separators) noexcept TARN_ABSENT;

}

#undef TARN_ABSENT
#endif
