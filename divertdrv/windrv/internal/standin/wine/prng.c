/*
 * Programs of Go 1.26 stop at their start under Debian's Wine 8, which has no bcryptprimitives.dll. This one has the one function
 * that they ask for, and takes the bytes from where Wine has them.
 */
#include <windows.h>

BOOLEAN WINAPI SystemFunction036(void *to, ULONG size); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(BYTE *to, SIZE_T size)
{
    return SystemFunction036(to, (ULONG)size);
}
