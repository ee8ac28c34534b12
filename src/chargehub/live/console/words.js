// What the page says, in both languages with the same keys. Values with {name} are filled in.

const zh = {
  "brand": "ChargeHub",
  "language": "EN",
  "language.label": "Switch to English",
  "theme": "切换明暗",
  "leave": "退出登录",
  "close": "关闭",
  "starting": "正在打开…",

  "login.line": "充电场站运营控制台",
  "login.name": "账号",
  "login.password": "密码",
  "login.button": "登录",
  "login.busy": "登录中…",
  "login.wrong": "账号或密码不正确。",
  "login.wait": "尝试次数过多，请 {seconds} 秒后再试。",
  "login.failed": "暂时无法登录，请稍后再试。",
  "login.unreachable": "连接不上服务器，请检查网络。",
  "login.ended": "登录已失效，请重新登录。",

  "live.on": "实时",
  "live.connecting": "连接中…",
  "live.stale": "数据已 {seconds} 秒未更新",

  "place": "场站",
  "totals": "场站总览",
  "total.charging": "充电中",
  "total.power": "当前功率",
  "total.transactions": "今日订单",
  "total.energy": "今日电量",
  "total.online": "在线桩",
  "total.faults": "故障 / 离线",
  "unit.guns": "枪",
  "unit.transactions": "单",

  "board": "充电枪实时状态",
  "filter": "按状态筛选",
  "filter.all": "全部",
  "nothing.filtered": "没有“{state}”的充电枪。",
  "nothing.at_all": "还没有充电桩。",

  // One word per state, short enough for a gun's cell.
  "Available": "空闲",
  "Preparing": "准备",
  "Charging": "充电",
  "SuspendedEV": "车停",
  "SuspendedEVSE": "桩停",
  "Finishing": "待拔",
  "Occupied": "占用",
  "Reserved": "预约",
  "Unavailable": "停用",
  "Faulted": "故障",
  "Offline": "离线",
  "Unknown": "未知",

  "minutes": "{n} 分",
  "hours": "{n} 时",
  "days": "{n} 天",
  "gun.title": "桩 {station} · {gun} 号枪",
  "gun.label": "桩 {station}，{gun} 号枪，{state}",
  "station.label": "桩 {station}",
  "gun.power": "{n} 千瓦",
  "gun.soc": "电量 {n}%",
  "gun.energy": "已充 {n} 千瓦时",
  "detail.state_since": "持续",
  "detail.power": "功率",
  "detail.soc": "SOC",
  "detail.energy": "已充电量",
  "detail.charging_for": "充电时长",
  "detail.transaction": "订单号",
  "detail.error": "故障码",
  "detail.station_error": "整桩故障码",
  "detail.offline_for": "离线时长",
  "detail.last_state": "离线前",
  "detail.max_power": "额定功率",
  "detail.gun_code": "枪编号",
  "detail.identity": "桩标识",
  "summary": "充电中 {charging} 枪，空闲 {available} 枪，故障 {faulted} 枪，离线 {offline} 枪。",
};

const en = {
  "brand": "ChargeHub",
  "language": "中文",
  "language.label": "切换到中文",
  "theme": "Light or dark",
  "leave": "Log out",
  "close": "Close",
  "starting": "Opening…",

  "login.line": "Charging hub operations console",
  "login.name": "Login",
  "login.password": "Password",
  "login.button": "Log in",
  "login.busy": "Logging in…",
  "login.wrong": "Login or password is wrong.",
  "login.wait": "Too many attempts. Try again in {seconds} s.",
  "login.failed": "Cannot log in just now. Try again later.",
  "login.unreachable": "The server cannot be reached. Check the network.",
  "login.ended": "Your login has ended. Please log in again.",

  "live.on": "Live",
  "live.connecting": "Connecting…",
  "live.stale": "Data is {seconds} s old",

  "place": "Location",
  "totals": "The hub in figures",
  "total.charging": "Charging",
  "total.power": "Power now",
  "total.transactions": "Sessions today",
  "total.energy": "Energy today",
  "total.online": "Stations online",
  "total.faults": "Faulted / offline",
  "unit.guns": "guns",
  "unit.transactions": "",

  "board": "Live state of the guns",
  "filter": "Filter by state",
  "filter.all": "All",
  "nothing.filtered": 'No gun is "{state}".',
  "nothing.at_all": "There are no charging stations yet.",

  "Available": "Free",
  "Preparing": "Waiting",
  "Charging": "Charging",
  "SuspendedEV": "Paused",
  "SuspendedEVSE": "Held",
  "Finishing": "Done",
  "Occupied": "In use",
  "Reserved": "Booked",
  "Unavailable": "Closed",
  "Faulted": "Fault",
  "Offline": "Offline",
  "Unknown": "Unknown",

  "minutes": "{n} min",
  "hours": "{n} h",
  "days": "{n} d",
  "gun.title": "Station {station}, gun {gun}",
  "gun.label": "Station {station}, gun {gun}: {state}",
  "station.label": "Station {station}",
  "gun.power": "{n} kilowatts",
  "gun.soc": "battery {n}%",
  "gun.energy": "{n} kilowatt-hours so far",
  "detail.state_since": "For",
  "detail.power": "Power",
  "detail.soc": "State of charge",
  "detail.energy": "Energy so far",
  "detail.charging_for": "Session length",
  "detail.transaction": "Transaction",
  "detail.error": "Error code",
  "detail.station_error": "Station error",
  "detail.offline_for": "Offline for",
  "detail.last_state": "Before that",
  "detail.max_power": "Rated power",
  "detail.gun_code": "Gun code",
  "detail.identity": "Identity",
  "summary":
    "{charging} guns charging, {available} free, {faulted} faulted, {offline} offline.",
};

export const LANGUAGES = { "zh-CN": zh, "en": en };

const KEPT = "chargehub.language";
let language = localStorage.getItem(KEPT) in LANGUAGES ? localStorage.getItem(KEPT) : preferred();

/** The browser's first language that this page speaks; English where it names none. */
function preferred() {
  for (const tag of navigator.languages) {
    if (/^zh\b/i.test(tag)) return "zh-CN";
    if (/^en\b/i.test(tag)) return "en";
  }
  return "en";
}

export const currentLanguage = () => language;

export function switchLanguage() {
  language = language === "en" ? "zh-CN" : "en";
  localStorage.setItem(KEPT, language);
}

export function say(key, values = {}) {
  return LANGUAGES[language][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/** Fill in every element that names its word: data-word is its text, data-label its name. */
export function sayAll(root = document) {
  root.documentElement.lang = language;
  for (const element of root.querySelectorAll("[data-word]")) {
    element.textContent = say(element.dataset.word);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
    if (element.tagName === "BUTTON") element.title = say(element.dataset.label);
  }
  for (const button of root.querySelectorAll("[data-do=language]")) {
    button.textContent = say("language");
    button.setAttribute("aria-label", say("language.label"));
    button.lang = language === "en" ? "zh-CN" : "en";
  }
}
