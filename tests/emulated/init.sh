#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# First process of the emulated machine (machine.py): two interfaces with a far end each, the user
# network to the host, and then guest.py. busybox would take its own ip, which knows no veth.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
busybox mkdir -p /proc /sys /tmp /etc/algwatch
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
busybox mount -t devtmpfs dev /dev
for module in mii pcnet32 veth; do busybox insmod /$module.ko; done
/sbin/ip link set lo up
/sbin/ip link set eth0 up
/sbin/ip address add 10.0.2.15/24 dev eth0
# The addresses are those that the frames in /words are for: what is for others is not looked at.
for name in br-lan wan; do
    [ $name = wan ] && last=66 || last=55
    /sbin/ip link add $name address 02:11:22:33:44:$last type veth peer name far-$name
    for end in $name far-$name; do
        echo 1 >/proc/sys/net/ipv6/conf/$end/disable_ipv6
        /sbin/ip link set $end up
    done
done
python3.11 -S /guest.py
busybox poweroff -f
