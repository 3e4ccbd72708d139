// SPDX-License-Identifier: GPL-2.0
/*
 * tarnfs and the VFS: mount options: their names, and how they are shown. What they do is in super.c.
 */
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/seq_file.h>

#include "fs/linux/glue.h"

enum { TARN_OPTION_DAX, TARN_OPTION_DAX_ENUM, TARN_OPTION_ERRORS, TARN_OPTION_NO_RECOVERY, TARN_OPTION_QUOTA };

static const struct constant_table tarn_dax_values[] = {
	{ "always", 1 },
	{},
};

static const struct constant_table tarn_errors_values[] = {
	{ "remount-ro", TARN_ERRORS_READ_ONLY },
	{ "continue", TARN_ERRORS_CONTINUE },
	{ "panic", TARN_ERRORS_PANIC },
	{},
};

const struct fs_parameter_spec tarn_parameters[] = {
	fsparam_flag("dax", TARN_OPTION_DAX),
	fsparam_enum("dax", TARN_OPTION_DAX_ENUM, tarn_dax_values),
	fsparam_enum("errors", TARN_OPTION_ERRORS, tarn_errors_values),
	fsparam_flag("norecovery", TARN_OPTION_NO_RECOVERY),
	fsparam_flag("noload", TARN_OPTION_NO_RECOVERY),
	fsparam_flag("quota", TARN_OPTION_QUOTA),
	fsparam_flag("usrquota", TARN_OPTION_QUOTA),
	fsparam_flag("grpquota", TARN_OPTION_QUOTA),
	fsparam_flag("prjquota", TARN_OPTION_QUOTA),
	{},
};

int tarn_parse_param(struct fs_context *fc, struct fs_parameter *parameter)
{
	struct tarn_super *super = fc->s_fs_info;
	struct fs_parse_result result;
	int option = fs_parse(fc, tarn_parameters, parameter, &result);

	switch (option) {
	case TARN_OPTION_DAX:
	case TARN_OPTION_DAX_ENUM:
		super->show_dax = true; /* both options say what is always so */
		return 0;
	case TARN_OPTION_ERRORS:
		super->errors = result.uint_32;
		return 0;
	case TARN_OPTION_NO_RECOVERY:
		super->no_recovery = true;
		return 0;
	case TARN_OPTION_QUOTA:
		return invalf(fc, "tarnfs: there are no quotas (option '%s')", parameter->key);
	default:
		return option;
	}
}

int tarn_show_options(struct seq_file *seq, struct dentry *root)
{
	const struct tarn_super *super = tarn_super(root->d_sb);
	int errors = READ_ONCE(super->errors);

	if (super->show_dax)
		seq_puts(seq, ",dax=always");
	if (errors == TARN_ERRORS_CONTINUE)
		seq_puts(seq, ",errors=continue");
	if (errors == TARN_ERRORS_PANIC)
		seq_puts(seq, ",errors=panic");
	if (super->no_recovery)
		seq_puts(seq, ",norecovery");
	return 0;
}
