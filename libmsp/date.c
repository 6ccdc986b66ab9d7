/* SPDX-License-Identifier: MIT */
/*
 * In: seconds since 1970, or an RFC 1123 date. Out: the other. Must never ask
 * the locale or the time zone, and never take a date in another shape: the
 * host's clock becomes the date of every request that is signed.
 */
#include "libmsp/date_priv.h"

#include <string.h>

#include <msp/latch.h>

#include "libmsp/ascii.h"

#define DAY_S 86400
/* Fri, 31 Dec 9999 23:59:59 GMT */
#define LAST_S 253402300799

static const char weekdays[7][4] = {
	"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed",
};
static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	"Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

static bool is_leap(unsigned int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned int month_days(unsigned int year, unsigned int month)
{
	static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30,
						31, 31, 30, 31, 30, 31 };

	return days[month] + (month == 1 && is_leap(year));
}

/* Days from 1970-01-01 to the first of January. */
static int64_t year_start(unsigned int year)
{
	int64_t y = (int64_t)year - 1;

	return 365 * ((int64_t)year - 1970) + y / 4 - y / 100 + y / 400 -
	       (1969 / 4 - 1969 / 100 + 1969 / 400);
}

static void put_digits(char *out, unsigned int value, unsigned int digits)
{
	while (digits-- > 0) {
		out[digits] = (char)('0' + value % 10);
		value /= 10;
	}
}

void msp_date_format(char out[MSP_DATE_SIZE], int64_t seconds)
{
	unsigned int year, month = 0, day, in_day;
	int64_t days;

	if (seconds < 0)
		seconds = 0;
	if (seconds > LAST_S)
		seconds = LAST_S;
	days = seconds / DAY_S;
	in_day = (unsigned int)(seconds % DAY_S);

	year = 1970 + (unsigned int)(days / 366); /* never too late */
	while (year_start(year + 1) <= days)
		year++;
	day = (unsigned int)(days - year_start(year));
	while (day >= month_days(year, month))
		day -= month_days(year, month++);

	memcpy(out, "Thu, 01 Jan 1970 00:00:00 GMT", MSP_DATE_SIZE);
	memcpy(out, weekdays[days % 7], 3);
	put_digits(out + 5, day + 1, 2);
	memcpy(out + 8, months[month], 3);
	put_digits(out + 12, year, 4);
	put_digits(out + 17, in_day / 3600, 2);
	put_digits(out + 20, in_day / 60 % 60, 2);
	put_digits(out + 23, in_day % 60, 2);
}

static bool get_digits(const char *text, size_t digits, unsigned int *out)
{
	size_t i;

	for (*out = 0, i = 0; i < digits; i++) {
		if (!msp_ascii_digit((unsigned char)text[i]))
			return false;
		*out = *out * 10 + (unsigned int)(text[i] - '0');
	}
	return true;
}

static bool get_month(const char *text, unsigned int *out)
{
	for (*out = 0; *out < 12; (*out)++) {
		if (memcmp(text, months[*out], 3) == 0)
			return true;
	}
	return false;
}

/* Reads the numbers; writing the result must then give the same text, which
 * checks weekday, blanks and ranges at once. */
bool msp_date_parse(const char *text, size_t len, int64_t *out)
{
	unsigned int day, month, year, hour, minute, second, m;
	char again[MSP_DATE_SIZE];
	int64_t days, seconds;

	if (!text || len != MSP_DATE_SIZE - 1)
		return false;
	if (!get_digits(text + 5, 2, &day) || !get_month(text + 8, &month) ||
	    !get_digits(text + 12, 4, &year) ||
	    !get_digits(text + 17, 2, &hour) ||
	    !get_digits(text + 20, 2, &minute) ||
	    !get_digits(text + 23, 2, &second) || year < 1970)
		return false;

	days = year_start(year) + (int64_t)day - 1;
	for (m = 0; m < month; m++)
		days += month_days(year, m);
	seconds = days * DAY_S + hour * 3600 + minute * 60 + second;
	msp_date_format(again, seconds);
	if (memcmp(again, text, len) != 0)
		return false;
	*out = seconds;
	return true;
}
