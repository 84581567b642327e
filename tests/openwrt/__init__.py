# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for OpenWrt's uci, fw4, fw3, nft, iptables-save and rpcd's pending changes.

None of the real ones is packaged for Debian. These are strict: an option, a subcommand or a word of
a configuration that they do not know ends with exit status 99 and a line that begins with
"stand-in:". `router.Router` makes a root directory with a configuration and the programs.

Read in the sources (uci 66127cd, firewall4 b6e5157, firewall3 3a65fde, rpcd of 2026-11). For uci
compared with the real program, built for that, by tests/openwrt/beside.py. The lines to type, and
what is said of fw4, were tried with the real uci, ucode, fw4, nft and busybox ash in a namespace.

uci
- A section without a name is called cfgNNHHHH: NN counts all sections of the file, HHHH is djb's
  hash of its type alone, because the name is given before its options are read
  (uci_fixup_section). `show` of a whole file counts `@type[n]` by type, over named sections too;
  `show` of one section prints the cfg name. `-X` prints cfg names everywhere.
- `show` quotes every value, a list as 'a' 'b', a quote as '\\''. `get` joins a list by spaces and
  quotes only items that hold white space.
- Changes wait in /tmp/.uci/PACKAGE, a line each, under the cfg name: `firewall.cfg02dc81.x='1'`,
  `-` for delete, `|` for add_list, `~` for del_list. Every command reads file and changes. A line
  that cannot be carried out is skipped without a word. To set the value that is there leaves no
  line.
- add_list makes a list of a string. del_list of a string, or of something that is not there, does
  nothing and answers 0. set to nothing deletes.
- commit takes the changes of everybody, writes the file anew (another inode, the same mode, no
  comments) and leaves an empty file of changes. Without changes the file stays as it is.
- Exit status 1 with "uci: Entry not found", "uci: Invalid argument" or "uci: Parse error (…) at
  line N, byte B"; -q says nothing. An unknown subcommand answers 255 and the usage, none answers 0
  and the usage. After a parse error every command on that file fails.
- From 24.10 on /var/run/uci/PACKAGE, when it is there, is read and written in place of
  /etc/config.
- A file whose name has a dot is no configuration.

fw4
- `print` and `check` see changes that are not committed. `check -q` prints nothing. A file that
  uci cannot parse counts as an empty one: the check passes, and a reload leaves a ruleset without
  zones that drops everything. An unknown word in `list helper` makes fw4 skip the whole zone.
- `reload` answers 0 also when nft refuses the ruleset (the last command of start() runs the
  includes); the old ruleset stays then. Without /var/run/fw4.state it answers 1 and does nothing.
- Two zones of one name: nft refuses the ruleset (a symbol is defined twice). fw3 takes them.
- `device DEV` reads the state of the last load, and compares names: no wildcards.
- A helper is there when /sys/module/MODULE is a directory. Its object is in the ruleset even if no
  zone uses it. `option helper` of a redirect is a match (redirect.uc), not an assignment.

fw3
- No check. TCP and UDP 5060. A dnat to the port of a helper writes a rule into the chain of its
  source zone, when exactly one of its protocols has a helper (select_helper()), unless the
  defaults section says `auto_helper '0'`. Names of helpers are compared without regard to case.

rpcd: /var/run/rpcd/uci-SID/PACKAGE, in the form of uci's changes; `uci changes` does not see it.

Not there: locks, `add`, `rename`, `reorder`, `import`, `batch`, zones with `family`, ipsets, all
chains that have nothing to do with helpers.
"""
