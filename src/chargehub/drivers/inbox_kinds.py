"""The kinds of messages to drivers: the facts each needs, and its words in Chinese and English.

A text is a title and sentences. A sentence of which a fact is missing is left out, so only what
`needed` names may stand in the title and the first sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

CHINESE, ENGLISH = "zh", "en"


@dataclass(frozen=True, slots=True)
class Text:
    """One language's words: `{fact}`, or `{fact:how}` as `inbox_texts` writes it."""

    title: str
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Kind:
    needed: frozenset[str]
    texts: Mapping[str, Text]
    useful_for: timedelta
    """Later nobody is sent a text message of it any more; it stays in the inbox."""
    may: frozenset[str] = frozenset()
    """Facts that a sentence may use when they are there."""


def _kind(
    needed: str, may: str, *, zh: Sequence[str], en: Sequence[str], useful: timedelta
) -> Kind:
    texts = {CHINESE: Text(zh[0], zh[1:]), ENGLISH: Text(en[0], en[1:])}
    return Kind(frozenset(needed.split()), texts, useful, frozenset(may.split()))


_MOMENT, _HOUR, _DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)

KINDS: Mapping[str, Kind] = {
    "reservation_about_to_expire": _kind(
        "reservation_id until",
        "gun_code location",
        zh=(
            "预约即将到期",
            "您预约的充电枪只保留到{until:time}，请尽快到场插枪，过时将自动释放。",
            "枪号：{gun_code}。",
            "场站：{location}。",
        ),
        en=(
            "Your reservation is about to expire",
            "Your gun is held until {until:time}. Plug in by then, or it is released.",
            "Gun: {gun_code}.",
            "Location: {location}.",
        ),
        useful=_MOMENT,
    ),
    "reservation_called": _kind(
        "reservation_id gun_code until",
        "location",
        zh=(
            "充电枪已为您留好",
            "请前往{gun_code}号枪，保留到{until:time}。",
            "场站：{location}。",
        ),
        en=(
            "Your gun is waiting for you",
            "Please go to gun {gun_code}. It is held until {until:time}.",
            "Location: {location}.",
        ),
        useful=_MOMENT,
    ),
    "reservation_waiting": _kind(
        "reservation_id",
        "reason",
        zh=(
            "暂无空闲充电枪",
            "很抱歉，目前没有可供您使用的充电枪，请稍候。一有空枪，我们会立即通知您。",
            "原因：{reason:reason}。",
        ),
        en=(
            "No gun is free at present",
            "We are sorry: no fitting gun can be had now. You are told as soon as one is free.",
            "Reason: {reason:reason}.",
        ),
        useful=_MOMENT,
    ),
    "reservation_cancelled": _kind(
        "reservation_id",
        "reason location",
        zh=(
            "预约已被取消",
            "很抱歉，工作人员取消了您的预约，充电枪不再为您保留。",
            "说明：{reason}。",
            "场站：{location}。",
        ),
        en=(
            "Your reservation was cancelled",
            "We are sorry: staff cancelled it, and the gun is not held for you any more.",
            "Note: {reason}.",
            "Location: {location}.",
        ),
        useful=_HOUR,
    ),
    "reservation_failed": _kind(
        "reservation_id",
        "starts_at reason gun_code location",
        zh=(
            "预约未成功",
            "很抱歉，我们没能为您留住充电枪，本次预约已取消。",
            "预约时间：{starts_at:time}。",
            "原因：{reason:reason}。",
            "场站：{location}。",
            "您可以改约其他时间，或到场后排队充电。",
        ),
        en=(
            "Your reservation failed",
            "We are sorry: we could not hold a gun for you, and the reservation has ended.",
            "It was for {starts_at:time}.",
            "Reason: {reason:reason}.",
            "Location: {location}.",
            "You can book another time, or join the queue when you arrive.",
        ),
        useful=_HOUR,
    ),
    "reservation_moved": _kind(
        "reservation_id gun_code",
        "from_gun_code reason starts_at location",
        zh=(
            "预约已换枪",
            "您的预约已换到{gun_code}号枪，功率相当，时间不变。",
            "原枪号：{from_gun_code}。",
            "原因：{reason:reason}。",
            "预约时间：{starts_at:time}。",
            "场站：{location}。",
        ),
        en=(
            "Your reservation was moved",
            "It is for gun {gun_code} now: as powerful, at the same time.",
            "It was for gun {from_gun_code}.",
            "Reason: {reason:reason}.",
            "Time: {starts_at:time}.",
            "Location: {location}.",
        ),
        useful=_HOUR,
    ),
    "your_turn": _kind(
        "until",
        "gun_code location",
        zh=(
            "轮到您了",
            "排队已叫到您，请在{until:time}前到场插枪，过号需重新排队。",
            "枪号：{gun_code}。",
            "场站：{location}。",
        ),
        en=(
            "It is your turn",
            "Please plug in by {until:time}, or the next in the queue is called.",
            "Gun: {gun_code}.",
            "Location: {location}.",
        ),
        useful=_MOMENT,
    ),
    "plug_and_charge_began": _kind(
        "charge_id at",
        "gun_code location",
        zh=(
            "即插即充已开始",
            "您的车已于{at:time}插枪自动开始充电。",
            "枪号：{gun_code}。",
            "场站：{location}。",
            "如非本人操作，请立即停止充电，并关闭该车的即插即充。",
        ),
        en=(
            "Plug-and-charge has begun",
            "Your car began to charge by itself at {at:time}.",
            "Gun: {gun_code}.",
            "Location: {location}.",
            "If this was not you, stop the charge now and revoke plug-and-charge for the car.",
        ),
        useful=_MOMENT,
    ),
    "plug_and_charge_unbound": _kind(
        "car reason",
        "",
        zh=(
            "即插即充已被关闭",
            "工作人员已关闭您尾号{car}的车辆的即插即充，插枪将不再自动充电。",
            "原因：{reason}。",
        ),
        en=(
            "Plug-and-charge was switched off",
            "Staff have ended plug-and-charge of your car {car}: it charges no more by itself.",
            "Reason: {reason}.",
        ),
        useful=_DAY,
    ),
    "turn_missed": _kind(
        "location_id",
        "location",
        zh=(
            "您已过号",
            "叫号后未按时到场，您已排到队尾，请留意下一次叫号。",
            "场站：{location}。",
        ),
        en=(
            "You missed your turn",
            "You did not come in time. You are last in the queue now and will be called again.",
            "Location: {location}.",
        ),
        useful=_MOMENT,
    ),
    "turn_lost": _kind(
        "location_id",
        "location",
        zh=(
            "您已退出排队",
            "多次叫号后未到场，您的排队已取消，如仍需充电请重新排队。",
            "场站：{location}。",
        ),
        en=(
            "You are out of the queue",
            "You were called and did not come. Join the queue again if you still want to charge.",
            "Location: {location}.",
        ),
        useful=_HOUR,
    ),
    "queue_ended": _kind(
        "location_id reason",
        "note opens_at location",
        zh=(
            "排队已结束",
            "您已不在排队中：{reason:reason}。",
            "说明：{note}。",
            "营业时间：{opens_at:time}起，届时可重新排队。",
            "场站：{location}。",
        ),
        en=(
            "Your place in the queue has ended",
            "You are not in the queue any more: {reason:reason}.",
            "Note: {note}.",
            "It opens at {opens_at:time}; you can join the queue again then.",
            "Location: {location}.",
        ),
        useful=_HOUR,
    ),
    "turn_postponed": _kind(
        "location_id",
        "location",
        zh=(
            "叫号已撤回",
            "很抱歉，叫到的充电枪暂时无法使用。您的排位不变，有空闲枪时将再次叫号。",
            "场站：{location}。",
        ),
        en=(
            "Your turn is put off",
            "We are sorry: the gun cannot be used. You keep your place and will be called again.",
            "Location: {location}.",
        ),
        useful=_MOMENT,
    ),
    "charging_ended": _kind(
        "charge_id",
        "energy_wh minutes reason gun_code location",
        zh=(
            "充电已结束",
            "您的车已停止充电，请及时拔枪挪车，把车位让给下一位车主。",
            "充入电量：{energy_wh:kwh}度。",
            "用时：{minutes}分钟。",
            "结束原因：{reason:reason}。",
            "枪号：{gun_code}。",
            "场站：{location}。",
        ),
        en=(
            "Charging has ended",
            "Please unplug and make room for the next driver.",
            "Energy: {energy_wh:kwh} kWh.",
            "Time: {minutes} min.",
            "Reason: {reason:reason}.",
            "Gun: {gun_code}.",
            "Location: {location}.",
        ),
        useful=_HOUR,
    ),
    "charging_failed": _kind(
        "charge_id",
        "reason gun_code location",
        zh=(
            "充电未能启动",
            "本次充电没有启动成功。",
            "原因：{reason:reason}。",
            "枪号：{gun_code}。",
            "场站：{location}。",
        ),
        en=(
            "Charging did not start",
            "Nothing was charged this time.",
            "Reason: {reason:reason}.",
            "Gun: {gun_code}.",
            "Location: {location}.",
        ),
        useful=_MOMENT,
    ),
    "credential_expiring": _kind(
        "kind days_left",
        "valid_to number",
        zh=(
            "证件即将到期",
            "您的{kind:credential}{days_left:days}，请及时上传新证，以免影响优惠。",
            "有效期至：{valid_to:date}。",
            "证号：{number}。",
        ),
        en=(
            "A credential is about to expire",
            "Your {kind:credential} {days_left:days}. Upload the new one to keep its benefits.",
            "Valid to: {valid_to:date}.",
            "Number: {number}.",
        ),
        useful=_DAY,
    ),
    "credential_decided": _kind(
        "kind status",
        "reason valid_to number",
        zh=(
            "证件审核结果",
            "您的{kind:credential}{status:decision}。",
            "说明：{reason}。",
            "有效期至：{valid_to:date}。",
            "证号：{number}。",
        ),
        en=(
            "Your credential",
            "Your {kind:credential} {status:decision}.",
            "Note: {reason}.",
            "Valid to: {valid_to:date}.",
            "Number: {number}.",
        ),
        useful=_DAY,
    ),
}

WORDS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "credential": {
        "taxi_qualification": ("出租车从业资格证", "taxi driver's qualification"),
        "ride_hailing_licence": ("网约车驾驶员证", "ride-hailing driver's licence"),
        "service_card": ("服务监督卡", "service card"),
    },
    "decision": {
        "pending": ("正在审核", "is being reviewed"),
        "approved": ("已通过审核", "was approved"),
        "refused": ("未通过审核", "was refused"),
        "expired": ("已过期", "has expired"),
        "withdrawn": ("已撤销", "was withdrawn"),
    },
    "reason": {
        "stopped_by_driver": ("您已停止充电", "you stopped it"),
        "energy_limit": ("已充到设定电量", "the energy you asked for was reached"),
        "minutes_limit": ("已充到设定时长", "the time you asked for was reached"),
        "soc_limit": ("已充到设定的电量百分比", "the state of charge you asked for was reached"),
        "full": ("电池已充满", "the battery is full"),
        "stopped_at_station": ("已在充电桩上停止", "it was stopped at the charging station"),
        "unplugged": ("充电枪已拔出", "the gun was unplugged"),
        "emergency_stop": ("急停按钮被按下", "the emergency stop was pressed"),
        "stopped_by_staff": ("由工作人员停止", "staff stopped it"),
        "ended_by_station": ("由充电桩或车辆结束", "the charging station or the car ended it"),
        "station_lost": ("充电桩失去联系", "the charging station was not heard of any more"),
        "refused_by_station": ("充电桩拒绝启动", "the charging station refused to start"),
        "not_allowed": ("当前不能在此充电", "you may not charge here now"),
        "reserved_for_another": (
            "该充电枪已被其他用户预约",
            "the gun is reserved for another driver",
        ),
        "station_offline": ("充电桩不在线", "the charging station is not connected"),
        "not_supported_by_station": (
            "该桩不支持远程启动，请刷卡",
            "the charging station cannot be started from afar; use a card",
        ),
        "station_error": (
            "充电桩应答异常，请换枪再试",
            "the charging station answered with an error",
        ),
        "not_plugged_in": ("未在规定时间内插枪", "the gun was not plugged into the car in time"),
        "not_started": ("充电桩没有开始充电", "the charging station did not begin"),
        "faulted": ("充电枪故障", "the gun is out of order"),
        "occupied": ("充电枪被占用", "the gun is occupied"),
        "unavailable": ("充电枪停用", "the gun is out of service"),
        "rejected": ("充电桩拒绝预约", "the charging station refused the reservation"),
        "no_gun": ("没有合适的空闲充电枪", "no fitting gun was free"),
        "gun_was_taken": ("您的充电枪前有其他车辆", "another car stood at your gun"),
        "hub_was_down": ("系统曾中断服务", "the hub was out of service for a while"),
        "closed": ("场站停止营业，不再叫号", "the location closes and calls nobody any more"),
        "removed_by_staff": ("工作人员取消了您的排队", "staff took you out"),
        "no_id_token": ("您的账号没有可用的充电凭证", "your account has no token that may charge"),
        "bay_blocked": (
            "车位停有车辆，或地锁未能降下；如是您的车，请直接插枪",
            "a car stands in its bay, or its lock does not open; if the car is yours, plug in",
        ),
    },
}
