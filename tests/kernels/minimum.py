# SPDX-License-Identifier: MIT
"""
In: the compiled eBPF object and bpf/kernel.h. Out: what of them Linux 5.15,
the documented minimum, may not have. Must never let anything pass that is
not in the lists below: whoever adds something checks it and says how.

No Debian suite has a 5.15 kernel, so this stands for booting one.

What was checked, and how
  read    the source of 5.15: sock_addr_func_proto(), tc_cls_act_func_proto()
          and bpf_sk_base_func_proto() of net/core/filter.c
  run     5.15 (Azure's) has loaded and attached connect4/6, bind4/6,
          getpeername4/6 and a raw_tp program with these helpers
  BTF     named alike in the BTF of Debian's 5.10.223 and of 6.1.176, hence
          also in between

Programs     cgroup/sock_addr for connect and bind (4.17) and getpeername
             (5.8), tc (4.1), raw_tp with BPF_PROG_TEST_RUN (5.10): read, run
Maps         SK_STORAGE (5.2) with user space access by descriptor, per-CPU
             array, mapped .bss and .rodata (5.5): run
Helpers      below, for each kind of program; the newest is
             get_current_task_btf (5.11). Not used, because 5.15 has them not
             in these programs: d_path, task_storage_get, and any kfunc
Typed loads  through BTF pointers in sock_addr (5.11) and from
             skc_to_tcp_sock() in tc (5.9): run, read
             an array without bounds at the end of a structure, which the
             variant without paths reads (5.8): read
Fields       below: BTF. Not in all kernels, and asked for with
             bpf_core_field_exists(): i_ctime, __i_ctime and i_ctime_sec, of
             which each has one, and loginuid, which needs CONFIG_AUDIT
User space   cgroup links (5.7), SO_NETNS_COOKIE (5.14; asked for first, and
             its absence is the message about the minimum), openat2() (5.6)
             with RESOLVE_CACHED (5.12), open_by_handle_at() of a cgroup by
             its 64-bit number (5.5): read
"""
import re
import struct

# number -> name, as in linux/bpf.h
HELPERS = {
    "sock_addr": {
        1: "map_lookup_elem", 5: "ktime_get_ns", 15: "get_current_uid_gid",
        16: "get_current_comm", 46: "get_socket_cookie", 49: "setsockopt",
        80: "get_current_cgroup_id", 107: "sk_storage_get",
        108: "sk_storage_delete", 113: "probe_read_kernel",
        115: "probe_read_kernel_str", 122: "get_netns_cookie",
        158: "get_current_task_btf",
    },
    "tc": {
        9: "skb_store_bytes", 26: "skb_load_bytes", 84: "sk_lookup_tcp",
        86: "sk_release", 96: "tcp_sock", 107: "sk_storage_get",
        137: "skc_to_tcp_sock",
    },
    "raw_tp": {
        35: "get_current_task", 113: "probe_read_kernel",
        158: "get_current_task_btf",
    },
}
SECTIONS = {
    "cgroup/connect4": "sock_addr", "cgroup/connect6": "sock_addr",
    "cgroup/bind4": "sock_addr", "cgroup/bind6": "sock_addr",
    "cgroup/getpeername4": "sock_addr", "cgroup/getpeername6": "sock_addr",
    "tc": "tc", "raw_tp": "raw_tp",
}
FIELDS = {
    "ns_common": "inum", "pid_namespace": "ns child_reaper",
    "mnt_namespace": "ns", "user_namespace": "ns parent owner", "net": "ns",
    "nsproxy": "mnt_ns net_ns", "upid": "nr ns", "pid": "level numbers",
    "kuid_t": "val", "kgid_t": "val", "group_info": "ngroups gid",
    "cred": "euid egid user_ns group_info", "super_block": "s_dev",
    "timespec64": "tv_sec tv_nsec",
    "inode": "i_mode i_uid i_gid i_sb i_ino i_nlink i_generation",
    "inode___named": "i_ctime", "inode___hidden": "__i_ctime",
    "inode___split": "i_ctime_sec i_ctime_nsec", "qstr": "name",
    "dentry": "d_parent d_name", "vfsmount": "mnt_root",
    "mount": "mnt_parent mnt_mountpoint mnt mnt_ns", "path": "mnt dentry",
    "file": "f_path f_inode", "fdtable": "max_fds fd", "files_struct": "fdt",
    "mm_struct": "exe_file",
    "task_struct": "mm tgid real_parent group_leader thread_pid "
                   "start_boottime cred files nsproxy loginuid comm",
    "atomic64_t": "counter", "sock_common": "skc_cookie",
    "sock": "__sk_common", "inet_sock": "sk",
    "inet_connection_sock": "icsk_inet", "tcp_sock": "inet_conn",
}

PROGBITS, EXECUTABLE = 1, 4
CALL, LDX_SIGNED, JA32, BSWAP = 0x85, (0x81, 0x89, 0x91), 0x06, 0xd7
MOVES = (0xb4, 0xb7, 0xbc, 0xbf)
ATOMIC = (0xc3, 0xdb)


def programs(path):
    """Name and instructions of each section with code."""
    with open(path, "rb") as file:
        data = file.read()
    start, = struct.unpack_from("<Q", data, 40)
    count, names = struct.unpack_from("<HH", data, 60)
    heads = [struct.unpack_from("<IIQQQQIIQQ", data, start + 64 * i)
             for i in range(count)]
    for head in heads:
        if head[1] != PROGBITS or not head[2] & EXECUTABLE or not head[5]:
            continue
        at = heads[names][4] + head[0]
        yield (data[at:data.index(b"\0", at)].decode(),
               [struct.unpack_from("<BBhi", data, o)
                for o in range(head[4], head[4] + head[5], 8)])


def too_new(code, registers, offset, number, helpers):
    """What is wrong with one instruction, or None."""
    if code == CALL and registers >> 4 == 0 and number not in helpers:
        return f"helper {number}"
    if code == CALL and registers >> 4 == 2:
        return "a kernel function"
    if code in ATOMIC and number != 0:
        return "an atomic operation other than add (5.12)"
    if code in LDX_SIGNED or code in (JA32, BSWAP) or \
            code in MOVES and offset:
        return "an instruction of the fourth set (6.6)"
    return None


def structures(text):
    """Structure -> its fields, in C as simple as bpf/kernel.h."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    found = re.finditer(r"^(?:typedef )?struct ?(\w*) \{(.*?)^\} ?(\w*);",
                        text, re.M | re.S)
    return {m.group(1) or m.group(3):
            re.findall(r"(\w+)(?:\[\w*\])?;", m.group(2)) for m in found}


def doubts(bpf_object, kernel_header):
    """Lines about what is not known to be in 5.15, and how much was seen."""
    lines, calls, fields = set(), 0, 0
    for section, code in programs(bpf_object):
        if section not in SECTIONS:
            lines.add(f"{section}: a kind of program not on the list")
            continue
        helpers = HELPERS[SECTIONS[section]]
        for instruction in code:
            calls += instruction[0] == CALL
            wrong = too_new(*instruction, helpers)
            if wrong:
                lines.add(f"{section}: {wrong} is not on the list")
    with open(kernel_header, encoding="utf-8") as file:
        for name, has in structures(file.read()).items():
            fields += len(has)
            for field in set(has) - set(FIELDS.get(name, "").split()):
                lines.add(f"struct {name}: {field} is not on the list")
    return sorted(lines), calls, fields
