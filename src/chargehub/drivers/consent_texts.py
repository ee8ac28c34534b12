"""What a driver agrees to before a car may start by itself, in both languages. Pure.

A text that has been agreed to is never changed: a new one is a new version, and the old ones stay,
since bindings name them.
"""

from __future__ import annotations

from collections.abc import Mapping

AUTOCHARGE: Mapping[str, Mapping[str, str]] = {
    "2026-11": {
        "zh": (
            "开通即插即充后，本场站的充电桩会在插枪时读取车辆识别信息（车架号VIN或通信控制器MAC地址），"
            "用于识别该车并以您的账户自动开始充电，费用由您承担。"
            "识别信息加密保存，仅用于即插即充，不作他用；关闭即插即充、删除车辆或注销账户后即被清除，"
            "仅保留您同意的时间、文本版本及关闭的时间作为凭证。"
            "车辆识别信息可能被他人仿冒，每次自动充电都会通知您。"
            "您可随时在应用中关闭，关闭后立即生效，已在进行的充电不受影响。"
        ),
        "en": (
            "With plug-and-charge the charging stations of this hub read what your car calls "
            "itself (its VIN or the MAC of its controller) when it is plugged in, recognise "
            "it by that and begin to charge it on your account, at your cost. What the car "
            "calls itself is stored encrypted and used for nothing else; it is erased when "
            "you revoke plug-and-charge, remove the vehicle or close the account. When you "
            "agreed, to which version of this text, and when it ended is kept as evidence. "
            "Others may imitate what a car calls itself, so you are told of every charge that "
            "begins so. You can revoke this in the app at any time; that counts at once, and "
            "a charge under way goes on."
        ),
    },
    # Says that the log of messages has it too.
    "2026-11-24": {
        "zh": (
            "开通即插即充后，本场站的充电桩会在插枪时读取车辆识别信息（车架号VIN或通信控制器MAC地址），"
            "用于识别该车并以您的账户自动开始充电，费用由您承担。"
            "识别信息加密保存，仅用于即插即充，不作他用；关闭即插即充、删除车辆或注销账户后即被清除，"
            "仅保留您同意的时间、文本版本及关闭的时间作为凭证。"
            "另外，充电桩发来的报文（含识别信息）会在通信日志中按原样短期保存（一般为14天），"
            "仅供运营人员排查故障和处理争议，到期自动删除。"
            "车辆识别信息可能被他人仿冒，每次自动充电都会通知您。"
            "您可随时在应用中关闭，关闭后立即生效，已在进行的充电不受影响。"
        ),
        "en": (
            "With plug-and-charge the charging stations of this hub read what your car calls "
            "itself (its VIN or the MAC of its controller) when it is plugged in, recognise "
            "it by that and begin to charge it on your account, at your cost. What the car "
            "calls itself is stored encrypted and used for nothing else; it is erased when "
            "you revoke plug-and-charge, remove the vehicle or close the account. When you "
            "agreed, to which version of this text, and when it ended is kept as evidence. "
            "Apart from that the messages of the charging stations, in which it stands, are "
            "logged as they came for a short time (14 days as a rule), which only the hub's "
            "staff read, to find faults and settle disputes; then they are deleted. "
            "Others may imitate what a car calls itself, so you are told of every charge that "
            "begins so. You can revoke this in the app at any time; that counts at once, and "
            "a charge under way goes on."
        ),
    },
}
CURRENT = "2026-11-24"
