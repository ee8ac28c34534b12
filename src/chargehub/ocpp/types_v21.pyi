# Payloads of ocpp2.1, for the type checker only. Written by `generate_types`: do not edit.

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

class ACChargingParametersType(TypedDict):
    energyAmount: float
    evMinCurrent: float
    evMaxCurrent: float
    evMaxVoltage: float
    customData: NotRequired[dict[str, Any]]

class AFRRSignalRequest(TypedDict):
    timestamp: str
    signal: int
    customData: NotRequired[dict[str, Any]]

class AFRRSignalResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

APNAuthenticationEnumType: TypeAlias = Literal[
    "PAP",
    "CHAP",
    "NONE",
    "AUTO",
]

class APNType(TypedDict):
    apn: str
    apnUserName: NotRequired[str]
    apnPassword: NotRequired[str]
    simPin: NotRequired[int]
    preferredNetwork: NotRequired[str]
    useOnlyPreferredNetwork: NotRequired[bool]
    apnAuthentication: APNAuthenticationEnumType
    customData: NotRequired[dict[str, Any]]

class AbsolutePriceScheduleType(TypedDict):
    timeAnchor: str
    priceScheduleID: int
    priceScheduleDescription: NotRequired[str]
    currency: str
    language: str
    priceAlgorithm: str
    minimumCost: NotRequired[RationalNumberType]
    maximumCost: NotRequired[RationalNumberType]
    priceRuleStacks: list[PriceRuleStackType]
    taxRules: NotRequired[list[TaxRuleType]]
    overstayRuleList: NotRequired[OverstayRuleListType]
    additionalSelectedServices: NotRequired[list[AdditionalSelectedServicesType]]
    customData: NotRequired[dict[str, Any]]

class AdditionalInfoType(TypedDict):
    additionalIdToken: str
    type: str
    customData: NotRequired[dict[str, Any]]

class AdditionalSelectedServicesType(TypedDict):
    serviceFee: RationalNumberType
    serviceName: str
    customData: NotRequired[dict[str, Any]]

class AddressType(TypedDict):
    name: str
    address1: str
    address2: NotRequired[str]
    city: str
    postalCode: NotRequired[str]
    country: str
    customData: NotRequired[dict[str, Any]]

class AdjustPeriodicEventStreamRequest(TypedDict):
    id: int
    params: PeriodicEventStreamParamsType
    customData: NotRequired[dict[str, Any]]

class AdjustPeriodicEventStreamResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

AttributeEnumType: TypeAlias = Literal[
    "Actual",
    "Target",
    "MinSet",
    "MaxSet",
]

class AuthorizationData(TypedDict):
    idToken: IdTokenType
    idTokenInfo: NotRequired[IdTokenInfoType]
    customData: NotRequired[dict[str, Any]]

AuthorizationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "ConcurrentTx",
    "Expired",
    "Invalid",
    "NoCredit",
    "NotAllowedTypeEVSE",
    "NotAtThisLocation",
    "NotAtThisTime",
    "Unknown",
]

AuthorizeCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "SignatureError",
    "CertificateExpired",
    "CertificateRevoked",
    "NoCertificateAvailable",
    "CertChainError",
    "ContractCancelled",
]

class AuthorizeRequest(TypedDict):
    idToken: IdTokenType
    certificate: NotRequired[str]
    iso15118CertificateHashData: NotRequired[list[OCSPRequestDataType]]
    customData: NotRequired[dict[str, Any]]

class AuthorizeResponse(TypedDict):
    idTokenInfo: IdTokenInfoType
    certificateStatus: NotRequired[AuthorizeCertificateStatusEnumType]
    allowedEnergyTransfer: NotRequired[list[EnergyTransferModeEnumType]]
    tariff: NotRequired[TariffType]
    customData: NotRequired[dict[str, Any]]

class BatteryDataType(TypedDict):
    evseId: int
    serialNumber: str
    soC: float
    soH: float
    productionDate: NotRequired[str]
    vendorInfo: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

BatterySwapEventEnumType: TypeAlias = Literal[
    "BatteryIn",
    "BatteryOut",
    "BatteryOutTimeout",
]

class BatterySwapRequest(TypedDict):
    batteryData: list[BatteryDataType]
    eventType: BatterySwapEventEnumType
    idToken: IdTokenType
    requestId: int
    customData: NotRequired[dict[str, Any]]

class BatterySwapResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class BootNotificationRequest(TypedDict):
    chargingStation: ChargingStationType
    reason: BootReasonEnumType
    customData: NotRequired[dict[str, Any]]

class BootNotificationResponse(TypedDict):
    currentTime: str
    interval: int
    status: RegistrationStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

BootReasonEnumType: TypeAlias = Literal[
    "ApplicationReset",
    "FirmwareUpdate",
    "LocalReset",
    "PowerUp",
    "RemoteReset",
    "ScheduledReset",
    "Triggered",
    "Unknown",
    "Watchdog",
]

class CancelReservationRequest(TypedDict):
    reservationId: int
    customData: NotRequired[dict[str, Any]]

class CancelReservationResponse(TypedDict):
    status: CancelReservationStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

CancelReservationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

CertificateActionEnumType: TypeAlias = Literal[
    "Install",
    "Update",
]

class CertificateHashDataChainType(TypedDict):
    certificateHashData: CertificateHashDataType
    certificateType: GetCertificateIdUseEnumType
    childCertificateHashData: NotRequired[list[CertificateHashDataType]]
    customData: NotRequired[dict[str, Any]]

class CertificateHashDataType(TypedDict):
    hashAlgorithm: HashAlgorithmEnumType
    issuerNameHash: str
    issuerKeyHash: str
    serialNumber: str
    customData: NotRequired[dict[str, Any]]

class CertificateSignedRequest(TypedDict):
    certificateChain: str
    certificateType: NotRequired[CertificateSigningUseEnumType]
    requestId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class CertificateSignedResponse(TypedDict):
    status: CertificateSignedStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

CertificateSignedStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

CertificateSigningUseEnumType: TypeAlias = Literal[
    "ChargingStationCertificate",
    "V2GCertificate",
    "V2G20Certificate",
]

CertificateStatusEnumType: TypeAlias = Literal[
    "Good",
    "Revoked",
    "Unknown",
    "Failed",
]

class CertificateStatusRequestInfoType(TypedDict):
    certificateHashData: CertificateHashDataType
    source: CertificateStatusSourceEnumType
    urls: list[str]
    customData: NotRequired[dict[str, Any]]

CertificateStatusSourceEnumType: TypeAlias = Literal[
    "CRL",
    "OCSP",
]

class CertificateStatusType(TypedDict):
    certificateHashData: CertificateHashDataType
    source: CertificateStatusSourceEnumType
    status: CertificateStatusEnumType
    nextUpdate: str
    customData: NotRequired[dict[str, Any]]

class ChangeAvailabilityRequest(TypedDict):
    evse: NotRequired[EVSEType]
    operationalStatus: OperationalStatusEnumType
    customData: NotRequired[dict[str, Any]]

class ChangeAvailabilityResponse(TypedDict):
    status: ChangeAvailabilityStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ChangeAvailabilityStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Scheduled",
]

class ChangeTransactionTariffRequest(TypedDict):
    tariff: TariffType
    transactionId: str
    customData: NotRequired[dict[str, Any]]

class ChangeTransactionTariffResponse(TypedDict):
    status: TariffChangeStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class ChargingLimitType(TypedDict):
    chargingLimitSource: str
    isLocalGeneration: NotRequired[bool]
    isGridCritical: NotRequired[bool]
    customData: NotRequired[dict[str, Any]]

class ChargingNeedsType(TypedDict):
    acChargingParameters: NotRequired[ACChargingParametersType]
    derChargingParameters: NotRequired[DERChargingParametersType]
    evEnergyOffer: NotRequired[EVEnergyOfferType]
    requestedEnergyTransfer: EnergyTransferModeEnumType
    dcChargingParameters: NotRequired[DCChargingParametersType]
    v2xChargingParameters: NotRequired[V2XChargingParametersType]
    availableEnergyTransfer: NotRequired[list[EnergyTransferModeEnumType]]
    controlMode: NotRequired[ControlModeEnumType]
    mobilityNeedsMode: NotRequired[MobilityNeedsModeEnumType]
    departureTime: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class ChargingPeriodType(TypedDict):
    dimensions: NotRequired[list[CostDimensionType]]
    tariffId: NotRequired[str]
    startPeriod: str
    customData: NotRequired[dict[str, Any]]

class ChargingProfileCriterionType(TypedDict):
    chargingProfilePurpose: NotRequired[ChargingProfilePurposeEnumType]
    stackLevel: NotRequired[int]
    chargingProfileId: NotRequired[list[int]]
    chargingLimitSource: NotRequired[list[str]]
    customData: NotRequired[dict[str, Any]]

ChargingProfileKindEnumType: TypeAlias = Literal[
    "Absolute",
    "Recurring",
    "Relative",
    "Dynamic",
]

ChargingProfilePurposeEnumType: TypeAlias = Literal[
    "ChargingStationExternalConstraints",
    "ChargingStationMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
    "PriorityCharging",
    "LocalGeneration",
]

ChargingProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class ChargingProfileType(TypedDict):
    id: int
    stackLevel: int
    chargingProfilePurpose: ChargingProfilePurposeEnumType
    chargingProfileKind: ChargingProfileKindEnumType
    recurrencyKind: NotRequired[RecurrencyKindEnumType]
    validFrom: NotRequired[str]
    validTo: NotRequired[str]
    transactionId: NotRequired[str]
    maxOfflineDuration: NotRequired[int]
    chargingSchedule: list[ChargingScheduleType]
    invalidAfterOfflineDuration: NotRequired[bool]
    dynUpdateInterval: NotRequired[int]
    dynUpdateTime: NotRequired[str]
    priceScheduleSignature: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

ChargingRateUnitEnumType: TypeAlias = Literal[
    "W",
    "A",
]

class ChargingSchedulePeriodType(TypedDict):
    startPeriod: int
    limit: NotRequired[float]
    limit_L2: NotRequired[float]
    limit_L3: NotRequired[float]
    numberPhases: NotRequired[int]
    phaseToUse: NotRequired[int]
    dischargeLimit: NotRequired[float]
    dischargeLimit_L2: NotRequired[float]
    dischargeLimit_L3: NotRequired[float]
    setpoint: NotRequired[float]
    setpoint_L2: NotRequired[float]
    setpoint_L3: NotRequired[float]
    setpointReactive: NotRequired[float]
    setpointReactive_L2: NotRequired[float]
    setpointReactive_L3: NotRequired[float]
    preconditioningRequest: NotRequired[bool]
    evseSleep: NotRequired[bool]
    v2xBaseline: NotRequired[float]
    operationMode: NotRequired[OperationModeEnumType]
    v2xFreqWattCurve: NotRequired[list[V2XFreqWattPointType]]
    v2xSignalWattCurve: NotRequired[list[V2XSignalWattPointType]]
    customData: NotRequired[dict[str, Any]]

class ChargingScheduleType(TypedDict):
    id: int
    limitAtSoC: NotRequired[LimitAtSoCType]
    startSchedule: NotRequired[str]
    duration: NotRequired[int]
    chargingRateUnit: ChargingRateUnitEnumType
    minChargingRate: NotRequired[float]
    powerTolerance: NotRequired[float]
    signatureId: NotRequired[int]
    digestValue: NotRequired[str]
    useLocalTime: NotRequired[bool]
    chargingSchedulePeriod: list[ChargingSchedulePeriodType]
    randomizedDelay: NotRequired[int]
    salesTariff: NotRequired[SalesTariffType]
    absolutePriceSchedule: NotRequired[AbsolutePriceScheduleType]
    priceLevelSchedule: NotRequired[PriceLevelScheduleType]
    customData: NotRequired[dict[str, Any]]

class ChargingScheduleUpdateType(TypedDict):
    limit: NotRequired[float]
    limit_L2: NotRequired[float]
    limit_L3: NotRequired[float]
    dischargeLimit: NotRequired[float]
    dischargeLimit_L2: NotRequired[float]
    dischargeLimit_L3: NotRequired[float]
    setpoint: NotRequired[float]
    setpoint_L2: NotRequired[float]
    setpoint_L3: NotRequired[float]
    setpointReactive: NotRequired[float]
    setpointReactive_L2: NotRequired[float]
    setpointReactive_L3: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

ChargingStateEnumType: TypeAlias = Literal[
    "EVConnected",
    "Charging",
    "SuspendedEV",
    "SuspendedEVSE",
    "Idle",
]

class ChargingStationType(TypedDict):
    serialNumber: NotRequired[str]
    model: str
    modem: NotRequired[ModemType]
    vendorName: str
    firmwareVersion: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class ClearCacheRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ClearCacheResponse(TypedDict):
    status: ClearCacheStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ClearCacheStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class ClearChargingProfileRequest(TypedDict):
    chargingProfileId: NotRequired[int]
    chargingProfileCriteria: NotRequired[ClearChargingProfileType]
    customData: NotRequired[dict[str, Any]]

class ClearChargingProfileResponse(TypedDict):
    status: ClearChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ClearChargingProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Unknown",
]

class ClearChargingProfileType(TypedDict):
    evseId: NotRequired[int]
    chargingProfilePurpose: NotRequired[ChargingProfilePurposeEnumType]
    stackLevel: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class ClearDERControlRequest(TypedDict):
    isDefault: bool
    controlType: NotRequired[DERControlEnumType]
    controlId: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class ClearDERControlResponse(TypedDict):
    status: DERControlStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class ClearDisplayMessageRequest(TypedDict):
    id: int
    customData: NotRequired[dict[str, Any]]

class ClearDisplayMessageResponse(TypedDict):
    status: ClearMessageStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ClearMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Unknown",
    "Rejected",
]

class ClearMonitoringResultType(TypedDict):
    status: ClearMonitoringStatusEnumType
    id: int
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ClearMonitoringStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotFound",
]

class ClearTariffsRequest(TypedDict):
    tariffIds: NotRequired[list[str]]
    evseId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class ClearTariffsResponse(TypedDict):
    clearTariffsResult: list[ClearTariffsResultType]
    customData: NotRequired[dict[str, Any]]

class ClearTariffsResultType(TypedDict):
    statusInfo: NotRequired[StatusInfoType]
    tariffId: NotRequired[str]
    status: TariffClearStatusEnumType
    customData: NotRequired[dict[str, Any]]

class ClearVariableMonitoringRequest(TypedDict):
    id: list[int]
    customData: NotRequired[dict[str, Any]]

class ClearVariableMonitoringResponse(TypedDict):
    clearMonitoringResult: list[ClearMonitoringResultType]
    customData: NotRequired[dict[str, Any]]

class ClearedChargingLimitRequest(TypedDict):
    chargingLimitSource: str
    evseId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class ClearedChargingLimitResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ClosePeriodicEventStreamRequest(TypedDict):
    id: int
    customData: NotRequired[dict[str, Any]]

class ClosePeriodicEventStreamResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

ComponentCriterionEnumType: TypeAlias = Literal[
    "Active",
    "Available",
    "Enabled",
    "Problem",
]

class ComponentType(TypedDict):
    evse: NotRequired[EVSEType]
    name: str
    instance: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class ComponentVariableType(TypedDict):
    component: ComponentType
    variable: NotRequired[VariableType]
    customData: NotRequired[dict[str, Any]]

class CompositeScheduleType(TypedDict):
    evseId: int
    duration: int
    scheduleStart: str
    chargingRateUnit: ChargingRateUnitEnumType
    chargingSchedulePeriod: list[ChargingSchedulePeriodType]
    customData: NotRequired[dict[str, Any]]

ConnectorStatusEnumType: TypeAlias = Literal[
    "Available",
    "Occupied",
    "Reserved",
    "Unavailable",
    "Faulted",
]

class ConstantStreamDataType(TypedDict):
    id: int
    params: PeriodicEventStreamParamsType
    variableMonitoringId: int
    customData: NotRequired[dict[str, Any]]

class ConsumptionCostType(TypedDict):
    startValue: float
    cost: list[CostType]
    customData: NotRequired[dict[str, Any]]

ControlModeEnumType: TypeAlias = Literal[
    "ScheduledControl",
    "DynamicControl",
]

class CostDetailsType(TypedDict):
    chargingPeriods: NotRequired[list[ChargingPeriodType]]
    totalCost: TotalCostType
    totalUsage: TotalUsageType
    failureToCalculate: NotRequired[bool]
    failureReason: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

CostDimensionEnumType: TypeAlias = Literal[
    "Energy",
    "MaxCurrent",
    "MinCurrent",
    "MaxPower",
    "MinPower",
    "IdleTIme",
    "ChargingTime",
]

class CostDimensionType(TypedDict):
    type: CostDimensionEnumType
    volume: float
    customData: NotRequired[dict[str, Any]]

CostKindEnumType: TypeAlias = Literal[
    "CarbonDioxideEmission",
    "RelativePricePercentage",
    "RenewableGenerationPercentage",
]

class CostType(TypedDict):
    costKind: CostKindEnumType
    amount: int
    amountMultiplier: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class CostUpdatedRequest(TypedDict):
    totalCost: float
    transactionId: str
    customData: NotRequired[dict[str, Any]]

class CostUpdatedResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class CustomerInformationRequest(TypedDict):
    customerCertificate: NotRequired[CertificateHashDataType]
    idToken: NotRequired[IdTokenType]
    requestId: int
    report: bool
    clear: bool
    customerIdentifier: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class CustomerInformationResponse(TypedDict):
    status: CustomerInformationStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

CustomerInformationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Invalid",
]

class DCChargingParametersType(TypedDict):
    evMaxCurrent: float
    evMaxVoltage: float
    evMaxPower: NotRequired[float]
    evEnergyCapacity: NotRequired[float]
    energyAmount: NotRequired[float]
    stateOfCharge: NotRequired[int]
    fullSoC: NotRequired[int]
    bulkSoC: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class DERChargingParametersType(TypedDict):
    evSupportedDERControl: NotRequired[list[DERControlEnumType]]
    evOverExcitedMaxDischargePower: NotRequired[float]
    evOverExcitedPowerFactor: NotRequired[float]
    evUnderExcitedMaxDischargePower: NotRequired[float]
    evUnderExcitedPowerFactor: NotRequired[float]
    maxApparentPower: NotRequired[float]
    maxChargeApparentPower: NotRequired[float]
    maxChargeApparentPower_L2: NotRequired[float]
    maxChargeApparentPower_L3: NotRequired[float]
    maxDischargeApparentPower: NotRequired[float]
    maxDischargeApparentPower_L2: NotRequired[float]
    maxDischargeApparentPower_L3: NotRequired[float]
    maxChargeReactivePower: NotRequired[float]
    maxChargeReactivePower_L2: NotRequired[float]
    maxChargeReactivePower_L3: NotRequired[float]
    minChargeReactivePower: NotRequired[float]
    minChargeReactivePower_L2: NotRequired[float]
    minChargeReactivePower_L3: NotRequired[float]
    maxDischargeReactivePower: NotRequired[float]
    maxDischargeReactivePower_L2: NotRequired[float]
    maxDischargeReactivePower_L3: NotRequired[float]
    minDischargeReactivePower: NotRequired[float]
    minDischargeReactivePower_L2: NotRequired[float]
    minDischargeReactivePower_L3: NotRequired[float]
    nominalVoltage: NotRequired[float]
    nominalVoltageOffset: NotRequired[float]
    maxNominalVoltage: NotRequired[float]
    minNominalVoltage: NotRequired[float]
    evInverterManufacturer: NotRequired[str]
    evInverterModel: NotRequired[str]
    evInverterSerialNumber: NotRequired[str]
    evInverterSwVersion: NotRequired[str]
    evInverterHwVersion: NotRequired[str]
    evIslandingDetectionMethod: NotRequired[list[IslandingDetectionEnumType]]
    evIslandingTripTime: NotRequired[float]
    evMaximumLevel1DCInjection: NotRequired[float]
    evDurationLevel1DCInjection: NotRequired[float]
    evMaximumLevel2DCInjection: NotRequired[float]
    evDurationLevel2DCInjection: NotRequired[float]
    evReactiveSusceptance: NotRequired[float]
    evSessionTotalDischargeEnergyAvailable: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

DERControlEnumType: TypeAlias = Literal[
    "EnterService",
    "FreqDroop",
    "FreqWatt",
    "FixedPFAbsorb",
    "FixedPFInject",
    "FixedVar",
    "Gradients",
    "HFMustTrip",
    "HFMayTrip",
    "HVMustTrip",
    "HVMomCess",
    "HVMayTrip",
    "LimitMaxDischarge",
    "LFMustTrip",
    "LVMustTrip",
    "LVMomCess",
    "LVMayTrip",
    "PowerMonitoringMustTrip",
    "VoltVar",
    "VoltWatt",
    "WattPF",
    "WattVar",
]

DERControlStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotSupported",
    "NotFound",
]

class DERCurveGetType(TypedDict):
    curve: DERCurveType
    id: str
    curveType: DERControlEnumType
    isDefault: bool
    isSuperseded: bool
    customData: NotRequired[dict[str, Any]]

class DERCurvePointsType(TypedDict):
    x: float
    y: float
    customData: NotRequired[dict[str, Any]]

class DERCurveType(TypedDict):
    curveData: list[DERCurvePointsType]
    hysteresis: NotRequired[HysteresisType]
    priority: int
    reactivePowerParams: NotRequired[ReactivePowerParamsType]
    voltageParams: NotRequired[VoltageParamsType]
    yUnit: DERUnitEnumType
    responseTime: NotRequired[float]
    startTime: NotRequired[str]
    duration: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

DERUnitEnumType: TypeAlias = Literal[
    "Not_Applicable",
    "PctMaxW",
    "PctMaxVar",
    "PctWAvail",
    "PctVarAvail",
    "PctEffectiveV",
]

DataEnumType: TypeAlias = Literal[
    "string",
    "decimal",
    "integer",
    "dateTime",
    "boolean",
    "OptionList",
    "SequenceList",
    "MemberList",
]

class DataTransferRequest(TypedDict):
    messageId: NotRequired[str]
    data: NotRequired[Any]
    vendorId: str
    customData: NotRequired[dict[str, Any]]

class DataTransferResponse(TypedDict):
    status: DataTransferStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    data: NotRequired[Any]
    customData: NotRequired[dict[str, Any]]

DataTransferStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownMessageId",
    "UnknownVendorId",
]

DayOfWeekEnumType: TypeAlias = Literal[
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
]

class DeleteCertificateRequest(TypedDict):
    certificateHashData: CertificateHashDataType
    customData: NotRequired[dict[str, Any]]

class DeleteCertificateResponse(TypedDict):
    status: DeleteCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

DeleteCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
    "NotFound",
]

DisplayMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NotSupportedMessageFormat",
    "Rejected",
    "NotSupportedPriority",
    "NotSupportedState",
    "UnknownTransaction",
    "LanguageNotSupported",
]

class EVAbsolutePriceScheduleEntryType(TypedDict):
    duration: int
    evPriceRule: list[EVPriceRuleType]
    customData: NotRequired[dict[str, Any]]

class EVAbsolutePriceScheduleType(TypedDict):
    timeAnchor: str
    currency: str
    evAbsolutePriceScheduleEntries: list[EVAbsolutePriceScheduleEntryType]
    priceAlgorithm: str
    customData: NotRequired[dict[str, Any]]

class EVEnergyOfferType(TypedDict):
    evAbsolutePriceSchedule: NotRequired[EVAbsolutePriceScheduleType]
    evPowerSchedule: EVPowerScheduleType
    customData: NotRequired[dict[str, Any]]

class EVPowerScheduleEntryType(TypedDict):
    duration: int
    power: float
    customData: NotRequired[dict[str, Any]]

class EVPowerScheduleType(TypedDict):
    evPowerScheduleEntries: list[EVPowerScheduleEntryType]
    timeAnchor: str
    customData: NotRequired[dict[str, Any]]

class EVPriceRuleType(TypedDict):
    energyFee: float
    powerRangeStart: float
    customData: NotRequired[dict[str, Any]]

class EVSEType(TypedDict):
    id: int
    connectorId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

EnergyTransferModeEnumType: TypeAlias = Literal[
    "AC_single_phase",
    "AC_two_phase",
    "AC_three_phase",
    "DC",
    "AC_BPT",
    "AC_BPT_DER",
    "AC_DER",
    "DC_BPT",
    "DC_ACDP",
    "DC_ACDP_BPT",
    "WPT",
]

class EnterServiceGetType(TypedDict):
    enterService: EnterServiceType
    id: str
    customData: NotRequired[dict[str, Any]]

class EnterServiceType(TypedDict):
    priority: int
    highVoltage: float
    lowVoltage: float
    highFreq: float
    lowFreq: float
    delay: NotRequired[float]
    randomDelay: NotRequired[float]
    rampRate: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

class EventDataType(TypedDict):
    eventId: int
    timestamp: str
    trigger: EventTriggerEnumType
    cause: NotRequired[int]
    actualValue: str
    techCode: NotRequired[str]
    techInfo: NotRequired[str]
    cleared: NotRequired[bool]
    transactionId: NotRequired[str]
    component: ComponentType
    variableMonitoringId: NotRequired[int]
    eventNotificationType: EventNotificationEnumType
    variable: VariableType
    severity: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

EventNotificationEnumType: TypeAlias = Literal[
    "HardWiredNotification",
    "HardWiredMonitor",
    "PreconfiguredMonitor",
    "CustomMonitor",
]

EventTriggerEnumType: TypeAlias = Literal[
    "Alerting",
    "Delta",
    "Periodic",
]

EvseKindEnumType: TypeAlias = Literal[
    "AC",
    "DC",
]

FirmwareStatusEnumType: TypeAlias = Literal[
    "Downloaded",
    "DownloadFailed",
    "Downloading",
    "DownloadScheduled",
    "DownloadPaused",
    "Idle",
    "InstallationFailed",
    "Installing",
    "Installed",
    "InstallRebooting",
    "InstallScheduled",
    "InstallVerificationFailed",
    "InvalidSignature",
    "SignatureVerified",
]

class FirmwareStatusNotificationRequest(TypedDict):
    status: FirmwareStatusEnumType
    requestId: NotRequired[int]
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class FirmwareStatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class FirmwareType(TypedDict):
    location: str
    retrieveDateTime: str
    installDateTime: NotRequired[str]
    signingCertificate: NotRequired[str]
    signature: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class FixedPFGetType(TypedDict):
    fixedPF: FixedPFType
    id: str
    isDefault: bool
    isSuperseded: bool
    customData: NotRequired[dict[str, Any]]

class FixedPFType(TypedDict):
    priority: int
    displacement: float
    excitation: bool
    startTime: NotRequired[str]
    duration: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

class FixedVarGetType(TypedDict):
    fixedVar: FixedVarType
    id: str
    isDefault: bool
    isSuperseded: bool
    customData: NotRequired[dict[str, Any]]

class FixedVarType(TypedDict):
    priority: int
    setpoint: float
    unit: DERUnitEnumType
    startTime: NotRequired[str]
    duration: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

class FreqDroopGetType(TypedDict):
    freqDroop: FreqDroopType
    id: str
    isDefault: bool
    isSuperseded: bool
    customData: NotRequired[dict[str, Any]]

class FreqDroopType(TypedDict):
    priority: int
    overFreq: float
    underFreq: float
    overDroop: float
    underDroop: float
    responseTime: float
    startTime: NotRequired[str]
    duration: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

GenericDeviceModelStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotSupported",
    "EmptyResultSet",
]

GenericStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class Get15118EVCertificateRequest(TypedDict):
    iso15118SchemaVersion: str
    action: CertificateActionEnumType
    exiRequest: str
    maximumContractCertificateChains: NotRequired[int]
    prioritizedEMAIDs: NotRequired[list[str]]
    customData: NotRequired[dict[str, Any]]

class Get15118EVCertificateResponse(TypedDict):
    status: Iso15118EVCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    exiResponse: str
    remainingContracts: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class GetBaseReportRequest(TypedDict):
    requestId: int
    reportBase: ReportBaseEnumType
    customData: NotRequired[dict[str, Any]]

class GetBaseReportResponse(TypedDict):
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class GetCertificateChainStatusRequest(TypedDict):
    certificateStatusRequests: list[CertificateStatusRequestInfoType]
    customData: NotRequired[dict[str, Any]]

class GetCertificateChainStatusResponse(TypedDict):
    certificateStatus: list[CertificateStatusType]
    customData: NotRequired[dict[str, Any]]

GetCertificateIdUseEnumType: TypeAlias = Literal[
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "V2GCertificateChain",
    "ManufacturerRootCertificate",
    "OEMRootCertificate",
]

GetCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
]

class GetCertificateStatusRequest(TypedDict):
    ocspRequestData: OCSPRequestDataType
    customData: NotRequired[dict[str, Any]]

class GetCertificateStatusResponse(TypedDict):
    status: GetCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    ocspResult: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

GetChargingProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NoProfiles",
]

class GetChargingProfilesRequest(TypedDict):
    requestId: int
    evseId: NotRequired[int]
    chargingProfile: ChargingProfileCriterionType
    customData: NotRequired[dict[str, Any]]

class GetChargingProfilesResponse(TypedDict):
    status: GetChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class GetCompositeScheduleRequest(TypedDict):
    duration: int
    chargingRateUnit: NotRequired[ChargingRateUnitEnumType]
    evseId: int
    customData: NotRequired[dict[str, Any]]

class GetCompositeScheduleResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    schedule: NotRequired[CompositeScheduleType]
    customData: NotRequired[dict[str, Any]]

class GetDERControlRequest(TypedDict):
    requestId: int
    isDefault: NotRequired[bool]
    controlType: NotRequired[DERControlEnumType]
    controlId: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class GetDERControlResponse(TypedDict):
    status: DERControlStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class GetDisplayMessagesRequest(TypedDict):
    id: NotRequired[list[int]]
    requestId: int
    priority: NotRequired[MessagePriorityEnumType]
    state: NotRequired[MessageStateEnumType]
    customData: NotRequired[dict[str, Any]]

class GetDisplayMessagesResponse(TypedDict):
    status: GetDisplayMessagesStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

GetDisplayMessagesStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Unknown",
]

class GetInstalledCertificateIdsRequest(TypedDict):
    certificateType: NotRequired[list[GetCertificateIdUseEnumType]]
    customData: NotRequired[dict[str, Any]]

class GetInstalledCertificateIdsResponse(TypedDict):
    status: GetInstalledCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    certificateHashDataChain: NotRequired[list[CertificateHashDataChainType]]
    customData: NotRequired[dict[str, Any]]

GetInstalledCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NotFound",
]

class GetLocalListVersionRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class GetLocalListVersionResponse(TypedDict):
    versionNumber: int
    customData: NotRequired[dict[str, Any]]

class GetLogRequest(TypedDict):
    log: LogParametersType
    logType: LogEnumType
    requestId: int
    retries: NotRequired[int]
    retryInterval: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class GetLogResponse(TypedDict):
    status: LogStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    filename: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class GetMonitoringReportRequest(TypedDict):
    componentVariable: NotRequired[list[ComponentVariableType]]
    requestId: int
    monitoringCriteria: NotRequired[list[MonitoringCriterionEnumType]]
    customData: NotRequired[dict[str, Any]]

class GetMonitoringReportResponse(TypedDict):
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class GetPeriodicEventStreamRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class GetPeriodicEventStreamResponse(TypedDict):
    constantStreamData: NotRequired[list[ConstantStreamDataType]]
    customData: NotRequired[dict[str, Any]]

class GetReportRequest(TypedDict):
    componentVariable: NotRequired[list[ComponentVariableType]]
    requestId: int
    componentCriteria: NotRequired[list[ComponentCriterionEnumType]]
    customData: NotRequired[dict[str, Any]]

class GetReportResponse(TypedDict):
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class GetTariffsRequest(TypedDict):
    evseId: int
    customData: NotRequired[dict[str, Any]]

class GetTariffsResponse(TypedDict):
    status: TariffGetStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    tariffAssignments: NotRequired[list[TariffAssignmentType]]
    customData: NotRequired[dict[str, Any]]

class GetTransactionStatusRequest(TypedDict):
    transactionId: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class GetTransactionStatusResponse(TypedDict):
    ongoingIndicator: NotRequired[bool]
    messagesInQueue: bool
    customData: NotRequired[dict[str, Any]]

class GetVariableDataType(TypedDict):
    attributeType: NotRequired[AttributeEnumType]
    component: ComponentType
    variable: VariableType
    customData: NotRequired[dict[str, Any]]

class GetVariableResultType(TypedDict):
    attributeStatus: GetVariableStatusEnumType
    attributeStatusInfo: NotRequired[StatusInfoType]
    attributeType: NotRequired[AttributeEnumType]
    attributeValue: NotRequired[str]
    component: ComponentType
    variable: VariableType
    customData: NotRequired[dict[str, Any]]

GetVariableStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
]

class GetVariablesRequest(TypedDict):
    getVariableData: list[GetVariableDataType]
    customData: NotRequired[dict[str, Any]]

class GetVariablesResponse(TypedDict):
    getVariableResult: list[GetVariableResultType]
    customData: NotRequired[dict[str, Any]]

class GradientGetType(TypedDict):
    gradient: GradientType
    id: str
    customData: NotRequired[dict[str, Any]]

class GradientType(TypedDict):
    priority: int
    gradient: float
    softGradient: float
    customData: NotRequired[dict[str, Any]]

GridEventFaultEnumType: TypeAlias = Literal[
    "CurrentImbalance",
    "LocalEmergency",
    "LowInputPower",
    "OverCurrent",
    "OverFrequency",
    "OverVoltage",
    "PhaseRotation",
    "RemoteEmergency",
    "UnderFrequency",
    "UnderVoltage",
    "VoltageImbalance",
]

HashAlgorithmEnumType: TypeAlias = Literal[
    "SHA256",
    "SHA384",
    "SHA512",
]

class HeartbeatRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class HeartbeatResponse(TypedDict):
    currentTime: str
    customData: NotRequired[dict[str, Any]]

class HysteresisType(TypedDict):
    hysteresisHigh: NotRequired[float]
    hysteresisLow: NotRequired[float]
    hysteresisDelay: NotRequired[float]
    hysteresisGradient: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

class IdTokenInfoType(TypedDict):
    status: AuthorizationStatusEnumType
    cacheExpiryDateTime: NotRequired[str]
    chargingPriority: NotRequired[int]
    groupIdToken: NotRequired[IdTokenType]
    language1: NotRequired[str]
    language2: NotRequired[str]
    evseId: NotRequired[list[int]]
    personalMessage: NotRequired[MessageContentType]
    customData: NotRequired[dict[str, Any]]

class IdTokenType(TypedDict):
    additionalInfo: NotRequired[list[AdditionalInfoType]]
    idToken: str
    type: str
    customData: NotRequired[dict[str, Any]]

class InstallCertificateRequest(TypedDict):
    certificateType: InstallCertificateUseEnumType
    certificate: str
    customData: NotRequired[dict[str, Any]]

class InstallCertificateResponse(TypedDict):
    status: InstallCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

InstallCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Failed",
]

InstallCertificateUseEnumType: TypeAlias = Literal[
    "V2GRootCertificate",
    "MORootCertificate",
    "ManufacturerRootCertificate",
    "CSMSRootCertificate",
    "OEMRootCertificate",
]

IslandingDetectionEnumType: TypeAlias = Literal[
    "NoAntiIslandingSupport",
    "RoCoF",
    "UVP_OVP",
    "UFP_OFP",
    "VoltageVectorShift",
    "ZeroCrossingDetection",
    "OtherPassive",
    "ImpedanceMeasurement",
    "ImpedanceAtFrequency",
    "SlipModeFrequencyShift",
    "SandiaFrequencyShift",
    "SandiaVoltageShift",
    "FrequencyJump",
    "RCLQFactor",
    "OtherActive",
]

Iso15118EVCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
]

class LimitAtSoCType(TypedDict):
    soc: int
    limit: float
    customData: NotRequired[dict[str, Any]]

class LimitMaxDischargeGetType(TypedDict):
    id: str
    isDefault: bool
    isSuperseded: bool
    limitMaxDischarge: LimitMaxDischargeType
    customData: NotRequired[dict[str, Any]]

class LimitMaxDischargeType(TypedDict):
    priority: int
    pctMaxDischargePower: NotRequired[float]
    powerMonitoringMustTrip: NotRequired[DERCurveType]
    startTime: NotRequired[str]
    duration: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

LocationEnumType: TypeAlias = Literal[
    "Body",
    "Cable",
    "EV",
    "Inlet",
    "Outlet",
    "Upstream",
]

LogEnumType: TypeAlias = Literal[
    "DiagnosticsLog",
    "SecurityLog",
    "DataCollectorLog",
]

class LogParametersType(TypedDict):
    remoteLocation: str
    oldestTimestamp: NotRequired[str]
    latestTimestamp: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

LogStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "AcceptedCanceled",
]

class LogStatusNotificationRequest(TypedDict):
    status: UploadLogStatusEnumType
    requestId: NotRequired[int]
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class LogStatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

MeasurandEnumType: TypeAlias = Literal[
    "Current.Export",
    "Current.Export.Offered",
    "Current.Export.Minimum",
    "Current.Import",
    "Current.Import.Offered",
    "Current.Import.Minimum",
    "Current.Offered",
    "Display.PresentSOC",
    "Display.MinimumSOC",
    "Display.TargetSOC",
    "Display.MaximumSOC",
    "Display.RemainingTimeToMinimumSOC",
    "Display.RemainingTimeToTargetSOC",
    "Display.RemainingTimeToMaximumSOC",
    "Display.ChargingComplete",
    "Display.BatteryEnergyCapacity",
    "Display.InletHot",
    "Energy.Active.Export.Interval",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Energy.Active.Import.CableLoss",
    "Energy.Active.Import.LocalGeneration.Register",
    "Energy.Active.Net",
    "Energy.Active.Setpoint.Interval",
    "Energy.Apparent.Export",
    "Energy.Apparent.Import",
    "Energy.Apparent.Net",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Import.Register",
    "Energy.Reactive.Net",
    "EnergyRequest.Target",
    "EnergyRequest.Minimum",
    "EnergyRequest.Maximum",
    "EnergyRequest.Minimum.V2X",
    "EnergyRequest.Maximum.V2X",
    "EnergyRequest.Bulk",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Active.Setpoint",
    "Power.Active.Residual",
    "Power.Export.Minimum",
    "Power.Export.Offered",
    "Power.Factor",
    "Power.Import.Offered",
    "Power.Import.Minimum",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "SoC",
    "Voltage",
    "Voltage.Minimum",
    "Voltage.Maximum",
]

class MessageContentType(TypedDict):
    format: MessageFormatEnumType
    language: NotRequired[str]
    content: str
    customData: NotRequired[dict[str, Any]]

MessageFormatEnumType: TypeAlias = Literal[
    "ASCII",
    "HTML",
    "URI",
    "UTF8",
    "QRCODE",
]

class MessageInfoType(TypedDict):
    display: NotRequired[ComponentType]
    id: int
    priority: MessagePriorityEnumType
    state: NotRequired[MessageStateEnumType]
    startDateTime: NotRequired[str]
    endDateTime: NotRequired[str]
    transactionId: NotRequired[str]
    message: MessageContentType
    messageExtra: NotRequired[list[MessageContentType]]
    customData: NotRequired[dict[str, Any]]

MessagePriorityEnumType: TypeAlias = Literal[
    "AlwaysFront",
    "InFront",
    "NormalCycle",
]

MessageStateEnumType: TypeAlias = Literal[
    "Charging",
    "Faulted",
    "Idle",
    "Unavailable",
    "Suspended",
    "Discharging",
]

MessageTriggerEnumType: TypeAlias = Literal[
    "BootNotification",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "SignChargingStationCertificate",
    "SignV2GCertificate",
    "SignV2G20Certificate",
    "StatusNotification",
    "TransactionEvent",
    "SignCombinedCertificate",
    "PublishFirmwareStatusNotification",
    "CustomTrigger",
]

class MeterValueType(TypedDict):
    sampledValue: list[SampledValueType]
    timestamp: str
    customData: NotRequired[dict[str, Any]]

class MeterValuesRequest(TypedDict):
    evseId: int
    meterValue: list[MeterValueType]
    customData: NotRequired[dict[str, Any]]

class MeterValuesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

MobilityNeedsModeEnumType: TypeAlias = Literal[
    "EVCC",
    "EVCC_SECC",
]

class ModemType(TypedDict):
    iccid: NotRequired[str]
    imsi: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

MonitorEnumType: TypeAlias = Literal[
    "UpperThreshold",
    "LowerThreshold",
    "Delta",
    "Periodic",
    "PeriodicClockAligned",
    "TargetDelta",
    "TargetDeltaRelative",
]

MonitoringBaseEnumType: TypeAlias = Literal[
    "All",
    "FactoryDefault",
    "HardWiredOnly",
]

MonitoringCriterionEnumType: TypeAlias = Literal[
    "ThresholdMonitoring",
    "DeltaMonitoring",
    "PeriodicMonitoring",
]

class MonitoringDataType(TypedDict):
    component: ComponentType
    variable: VariableType
    variableMonitoring: list[VariableMonitoringType]
    customData: NotRequired[dict[str, Any]]

MutabilityEnumType: TypeAlias = Literal[
    "ReadOnly",
    "WriteOnly",
    "ReadWrite",
]

class NetworkConnectionProfileType(TypedDict):
    apn: NotRequired[APNType]
    ocppVersion: NotRequired[OCPPVersionEnumType]
    ocppInterface: OCPPInterfaceEnumType
    ocppTransport: OCPPTransportEnumType
    messageTimeout: int
    ocppCsmsUrl: str
    securityProfile: int
    identity: NotRequired[str]
    basicAuthPassword: NotRequired[str]
    vpn: NotRequired[VPNType]
    customData: NotRequired[dict[str, Any]]

class NotifyAllowedEnergyTransferRequest(TypedDict):
    transactionId: str
    allowedEnergyTransfer: list[EnergyTransferModeEnumType]
    customData: NotRequired[dict[str, Any]]

class NotifyAllowedEnergyTransferResponse(TypedDict):
    status: NotifyAllowedEnergyTransferStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

NotifyAllowedEnergyTransferStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class NotifyChargingLimitRequest(TypedDict):
    chargingSchedule: NotRequired[list[ChargingScheduleType]]
    evseId: NotRequired[int]
    chargingLimit: ChargingLimitType
    customData: NotRequired[dict[str, Any]]

class NotifyChargingLimitResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyCustomerInformationRequest(TypedDict):
    data: str
    tbc: NotRequired[bool]
    seqNo: int
    generatedAt: str
    requestId: int
    customData: NotRequired[dict[str, Any]]

class NotifyCustomerInformationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyDERAlarmRequest(TypedDict):
    controlType: DERControlEnumType
    gridEventFault: NotRequired[GridEventFaultEnumType]
    alarmEnded: NotRequired[bool]
    timestamp: str
    extraInfo: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class NotifyDERAlarmResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyDERStartStopRequest(TypedDict):
    controlId: str
    started: bool
    timestamp: str
    supersededIds: NotRequired[list[str]]
    customData: NotRequired[dict[str, Any]]

class NotifyDERStartStopResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyDisplayMessagesRequest(TypedDict):
    messageInfo: NotRequired[list[MessageInfoType]]
    requestId: int
    tbc: NotRequired[bool]
    customData: NotRequired[dict[str, Any]]

class NotifyDisplayMessagesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyEVChargingNeedsRequest(TypedDict):
    evseId: int
    maxScheduleTuples: NotRequired[int]
    chargingNeeds: ChargingNeedsType
    timestamp: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class NotifyEVChargingNeedsResponse(TypedDict):
    status: NotifyEVChargingNeedsStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

NotifyEVChargingNeedsStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Processing",
    "NoChargingProfile",
]

class NotifyEVChargingScheduleRequest(TypedDict):
    timeBase: str
    chargingSchedule: ChargingScheduleType
    evseId: int
    selectedChargingScheduleId: NotRequired[int]
    powerToleranceAcceptance: NotRequired[bool]
    customData: NotRequired[dict[str, Any]]

class NotifyEVChargingScheduleResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class NotifyEventRequest(TypedDict):
    generatedAt: str
    tbc: NotRequired[bool]
    seqNo: int
    eventData: list[EventDataType]
    customData: NotRequired[dict[str, Any]]

class NotifyEventResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyMonitoringReportRequest(TypedDict):
    monitor: NotRequired[list[MonitoringDataType]]
    requestId: int
    tbc: NotRequired[bool]
    seqNo: int
    generatedAt: str
    customData: NotRequired[dict[str, Any]]

class NotifyMonitoringReportResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyPeriodicEventStream(TypedDict):
    data: list[StreamDataElementType]
    id: int
    pending: int
    basetime: str
    customData: NotRequired[dict[str, Any]]

class NotifyPriorityChargingRequest(TypedDict):
    transactionId: str
    activated: bool
    customData: NotRequired[dict[str, Any]]

class NotifyPriorityChargingResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyReportRequest(TypedDict):
    requestId: int
    generatedAt: str
    reportData: NotRequired[list[ReportDataType]]
    tbc: NotRequired[bool]
    seqNo: int
    customData: NotRequired[dict[str, Any]]

class NotifyReportResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifySettlementRequest(TypedDict):
    transactionId: NotRequired[str]
    pspRef: str
    status: PaymentStatusEnumType
    statusInfo: NotRequired[str]
    settlementAmount: float
    settlementTime: str
    receiptId: NotRequired[str]
    receiptUrl: NotRequired[str]
    vatCompany: NotRequired[AddressType]
    vatNumber: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class NotifySettlementResponse(TypedDict):
    receiptUrl: NotRequired[str]
    receiptId: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class NotifyWebPaymentStartedRequest(TypedDict):
    evseId: int
    timeout: int
    customData: NotRequired[dict[str, Any]]

class NotifyWebPaymentStartedResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

OCPPInterfaceEnumType: TypeAlias = Literal[
    "Wired0",
    "Wired1",
    "Wired2",
    "Wired3",
    "Wireless0",
    "Wireless1",
    "Wireless2",
    "Wireless3",
    "Any",
]

OCPPTransportEnumType: TypeAlias = Literal[
    "SOAP",
    "JSON",
]

OCPPVersionEnumType: TypeAlias = Literal[
    "OCPP12",
    "OCPP15",
    "OCPP16",
    "OCPP20",
    "OCPP201",
    "OCPP21",
]

class OCSPRequestDataType(TypedDict):
    hashAlgorithm: HashAlgorithmEnumType
    issuerNameHash: str
    issuerKeyHash: str
    serialNumber: str
    responderURL: str
    customData: NotRequired[dict[str, Any]]

class OpenPeriodicEventStreamRequest(TypedDict):
    constantStreamData: ConstantStreamDataType
    customData: NotRequired[dict[str, Any]]

class OpenPeriodicEventStreamResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

OperationModeEnumType: TypeAlias = Literal[
    "Idle",
    "ChargingOnly",
    "CentralSetpoint",
    "ExternalSetpoint",
    "ExternalLimits",
    "CentralFrequency",
    "LocalFrequency",
    "LocalLoadBalancing",
]

OperationalStatusEnumType: TypeAlias = Literal[
    "Inoperative",
    "Operative",
]

class OverstayRuleListType(TypedDict):
    overstayPowerThreshold: NotRequired[RationalNumberType]
    overstayRule: list[OverstayRuleType]
    overstayTimeThreshold: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class OverstayRuleType(TypedDict):
    overstayFee: RationalNumberType
    overstayRuleDescription: NotRequired[str]
    startTime: int
    overstayFeePeriod: int
    customData: NotRequired[dict[str, Any]]

PaymentStatusEnumType: TypeAlias = Literal[
    "Settled",
    "Canceled",
    "Rejected",
    "Failed",
]

class PeriodicEventStreamParamsType(TypedDict):
    interval: NotRequired[int]
    values: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

PhaseEnumType: TypeAlias = Literal[
    "L1",
    "L2",
    "L3",
    "N",
    "L1-N",
    "L2-N",
    "L3-N",
    "L1-L2",
    "L2-L3",
    "L3-L1",
]

PowerDuringCessationEnumType: TypeAlias = Literal[
    "Active",
    "Reactive",
]

PreconditioningStatusEnumType: TypeAlias = Literal[
    "Unknown",
    "Ready",
    "NotReady",
    "Preconditioning",
]

class PriceLevelScheduleEntryType(TypedDict):
    duration: int
    priceLevel: int
    customData: NotRequired[dict[str, Any]]

class PriceLevelScheduleType(TypedDict):
    priceLevelScheduleEntries: list[PriceLevelScheduleEntryType]
    timeAnchor: str
    priceScheduleId: int
    priceScheduleDescription: NotRequired[str]
    numberOfPriceLevels: int
    customData: NotRequired[dict[str, Any]]

class PriceRuleStackType(TypedDict):
    duration: int
    priceRule: list[PriceRuleType]
    customData: NotRequired[dict[str, Any]]

class PriceRuleType(TypedDict):
    parkingFeePeriod: NotRequired[int]
    carbonDioxideEmission: NotRequired[int]
    renewableGenerationPercentage: NotRequired[int]
    energyFee: RationalNumberType
    parkingFee: NotRequired[RationalNumberType]
    powerRangeStart: RationalNumberType
    customData: NotRequired[dict[str, Any]]

class PriceType(TypedDict):
    exclTax: NotRequired[float]
    inclTax: NotRequired[float]
    taxRates: NotRequired[list[TaxRateType]]
    customData: NotRequired[dict[str, Any]]

PriorityChargingStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NoProfile",
]

class PublishFirmwareRequest(TypedDict):
    location: str
    retries: NotRequired[int]
    checksum: str
    requestId: int
    retryInterval: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class PublishFirmwareResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

PublishFirmwareStatusEnumType: TypeAlias = Literal[
    "Idle",
    "DownloadScheduled",
    "Downloading",
    "Downloaded",
    "Published",
    "DownloadFailed",
    "DownloadPaused",
    "InvalidChecksum",
    "ChecksumVerified",
    "PublishFailed",
]

class PublishFirmwareStatusNotificationRequest(TypedDict):
    status: PublishFirmwareStatusEnumType
    location: NotRequired[list[str]]
    requestId: NotRequired[int]
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class PublishFirmwareStatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class PullDynamicScheduleUpdateRequest(TypedDict):
    chargingProfileId: int
    customData: NotRequired[dict[str, Any]]

class PullDynamicScheduleUpdateResponse(TypedDict):
    scheduleUpdate: NotRequired[ChargingScheduleUpdateType]
    status: ChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class RationalNumberType(TypedDict):
    exponent: int
    value: int
    customData: NotRequired[dict[str, Any]]

class ReactivePowerParamsType(TypedDict):
    vRef: NotRequired[float]
    autonomousVRefEnable: NotRequired[bool]
    autonomousVRefTimeConstant: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

ReadingContextEnumType: TypeAlias = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Other",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
]

ReasonEnumType: TypeAlias = Literal[
    "DeAuthorized",
    "EmergencyStop",
    "EnergyLimitReached",
    "EVDisconnected",
    "GroundFault",
    "ImmediateReset",
    "MasterPass",
    "Local",
    "LocalOutOfCredit",
    "Other",
    "OvercurrentFault",
    "PowerLoss",
    "PowerQuality",
    "Reboot",
    "Remote",
    "SOCLimitReached",
    "StoppedByEV",
    "TimeLimitReached",
    "Timeout",
    "ReqEnergyTransferRejected",
]

RecurrencyKindEnumType: TypeAlias = Literal[
    "Daily",
    "Weekly",
]

RegistrationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Pending",
    "Rejected",
]

class RelativeTimeIntervalType(TypedDict):
    start: int
    duration: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

ReportBaseEnumType: TypeAlias = Literal[
    "ConfigurationInventory",
    "FullInventory",
    "SummaryInventory",
]

class ReportChargingProfilesRequest(TypedDict):
    requestId: int
    chargingLimitSource: str
    chargingProfile: list[ChargingProfileType]
    tbc: NotRequired[bool]
    evseId: int
    customData: NotRequired[dict[str, Any]]

class ReportChargingProfilesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ReportDERControlRequest(TypedDict):
    curve: NotRequired[list[DERCurveGetType]]
    enterService: NotRequired[list[EnterServiceGetType]]
    fixedPFAbsorb: NotRequired[list[FixedPFGetType]]
    fixedPFInject: NotRequired[list[FixedPFGetType]]
    fixedVar: NotRequired[list[FixedVarGetType]]
    freqDroop: NotRequired[list[FreqDroopGetType]]
    gradient: NotRequired[list[GradientGetType]]
    limitMaxDischarge: NotRequired[list[LimitMaxDischargeGetType]]
    requestId: int
    tbc: NotRequired[bool]
    customData: NotRequired[dict[str, Any]]

class ReportDERControlResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ReportDataType(TypedDict):
    component: ComponentType
    variable: VariableType
    variableAttribute: list[VariableAttributeType]
    variableCharacteristics: NotRequired[VariableCharacteristicsType]
    customData: NotRequired[dict[str, Any]]

class RequestBatterySwapRequest(TypedDict):
    idToken: IdTokenType
    requestId: int
    customData: NotRequired[dict[str, Any]]

class RequestBatterySwapResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

RequestStartStopStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class RequestStartTransactionRequest(TypedDict):
    evseId: NotRequired[int]
    groupIdToken: NotRequired[IdTokenType]
    idToken: IdTokenType
    remoteStartId: int
    chargingProfile: NotRequired[ChargingProfileType]
    customData: NotRequired[dict[str, Any]]

class RequestStartTransactionResponse(TypedDict):
    status: RequestStartStopStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    transactionId: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class RequestStopTransactionRequest(TypedDict):
    transactionId: str
    customData: NotRequired[dict[str, Any]]

class RequestStopTransactionResponse(TypedDict):
    status: RequestStartStopStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class ReservationStatusUpdateRequest(TypedDict):
    reservationId: int
    reservationUpdateStatus: ReservationUpdateStatusEnumType
    customData: NotRequired[dict[str, Any]]

class ReservationStatusUpdateResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

ReservationUpdateStatusEnumType: TypeAlias = Literal[
    "Expired",
    "Removed",
    "NoTransaction",
]

class ReserveNowRequest(TypedDict):
    id: int
    expiryDateTime: str
    connectorType: NotRequired[str]
    idToken: IdTokenType
    evseId: NotRequired[int]
    groupIdToken: NotRequired[IdTokenType]
    customData: NotRequired[dict[str, Any]]

class ReserveNowResponse(TypedDict):
    status: ReserveNowStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ReserveNowStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Faulted",
    "Occupied",
    "Rejected",
    "Unavailable",
]

ResetEnumType: TypeAlias = Literal[
    "Immediate",
    "OnIdle",
    "ImmediateAndResume",
]

class ResetRequest(TypedDict):
    type: ResetEnumType
    evseId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class ResetResponse(TypedDict):
    status: ResetStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

ResetStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Scheduled",
]

class SalesTariffEntryType(TypedDict):
    relativeTimeInterval: RelativeTimeIntervalType
    ePriceLevel: NotRequired[int]
    consumptionCost: NotRequired[list[ConsumptionCostType]]
    customData: NotRequired[dict[str, Any]]

class SalesTariffType(TypedDict):
    id: int
    salesTariffDescription: NotRequired[str]
    numEPriceLevels: NotRequired[int]
    salesTariffEntry: list[SalesTariffEntryType]
    customData: NotRequired[dict[str, Any]]

class SampledValueType(TypedDict):
    value: float
    measurand: NotRequired[MeasurandEnumType]
    context: NotRequired[ReadingContextEnumType]
    phase: NotRequired[PhaseEnumType]
    location: NotRequired[LocationEnumType]
    signedMeterValue: NotRequired[SignedMeterValueType]
    unitOfMeasure: NotRequired[UnitOfMeasureType]
    customData: NotRequired[dict[str, Any]]

class SecurityEventNotificationRequest(TypedDict):
    type: str
    timestamp: str
    techInfo: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class SecurityEventNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class SendLocalListRequest(TypedDict):
    localAuthorizationList: NotRequired[list[AuthorizationData]]
    versionNumber: int
    updateType: UpdateEnumType
    customData: NotRequired[dict[str, Any]]

class SendLocalListResponse(TypedDict):
    status: SendLocalListStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

SendLocalListStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
    "VersionMismatch",
]

class SetChargingProfileRequest(TypedDict):
    evseId: int
    chargingProfile: ChargingProfileType
    customData: NotRequired[dict[str, Any]]

class SetChargingProfileResponse(TypedDict):
    status: ChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class SetDERControlRequest(TypedDict):
    isDefault: bool
    controlId: str
    controlType: DERControlEnumType
    curve: NotRequired[DERCurveType]
    enterService: NotRequired[EnterServiceType]
    fixedPFAbsorb: NotRequired[FixedPFType]
    fixedPFInject: NotRequired[FixedPFType]
    fixedVar: NotRequired[FixedVarType]
    freqDroop: NotRequired[FreqDroopType]
    gradient: NotRequired[GradientType]
    limitMaxDischarge: NotRequired[LimitMaxDischargeType]
    customData: NotRequired[dict[str, Any]]

class SetDERControlResponse(TypedDict):
    status: DERControlStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    supersededIds: NotRequired[list[str]]
    customData: NotRequired[dict[str, Any]]

class SetDefaultTariffRequest(TypedDict):
    evseId: int
    tariff: TariffType
    customData: NotRequired[dict[str, Any]]

class SetDefaultTariffResponse(TypedDict):
    status: TariffSetStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class SetDisplayMessageRequest(TypedDict):
    message: MessageInfoType
    customData: NotRequired[dict[str, Any]]

class SetDisplayMessageResponse(TypedDict):
    status: DisplayMessageStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class SetMonitoringBaseRequest(TypedDict):
    monitoringBase: MonitoringBaseEnumType
    customData: NotRequired[dict[str, Any]]

class SetMonitoringBaseResponse(TypedDict):
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class SetMonitoringDataType(TypedDict):
    id: NotRequired[int]
    periodicEventStream: NotRequired[PeriodicEventStreamParamsType]
    transaction: NotRequired[bool]
    value: float
    type: MonitorEnumType
    severity: int
    component: ComponentType
    variable: VariableType
    customData: NotRequired[dict[str, Any]]

class SetMonitoringLevelRequest(TypedDict):
    severity: int
    customData: NotRequired[dict[str, Any]]

class SetMonitoringLevelResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class SetMonitoringResultType(TypedDict):
    id: NotRequired[int]
    statusInfo: NotRequired[StatusInfoType]
    status: SetMonitoringStatusEnumType
    type: MonitorEnumType
    component: ComponentType
    variable: VariableType
    severity: int
    customData: NotRequired[dict[str, Any]]

SetMonitoringStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "UnknownComponent",
    "UnknownVariable",
    "UnsupportedMonitorType",
    "Rejected",
    "Duplicate",
]

class SetNetworkProfileRequest(TypedDict):
    configurationSlot: int
    connectionData: NetworkConnectionProfileType
    customData: NotRequired[dict[str, Any]]

class SetNetworkProfileResponse(TypedDict):
    status: SetNetworkProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

SetNetworkProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Failed",
]

class SetVariableDataType(TypedDict):
    attributeType: NotRequired[AttributeEnumType]
    attributeValue: str
    component: ComponentType
    variable: VariableType
    customData: NotRequired[dict[str, Any]]

class SetVariableMonitoringRequest(TypedDict):
    setMonitoringData: list[SetMonitoringDataType]
    customData: NotRequired[dict[str, Any]]

class SetVariableMonitoringResponse(TypedDict):
    setMonitoringResult: list[SetMonitoringResultType]
    customData: NotRequired[dict[str, Any]]

class SetVariableResultType(TypedDict):
    attributeType: NotRequired[AttributeEnumType]
    attributeStatus: SetVariableStatusEnumType
    attributeStatusInfo: NotRequired[StatusInfoType]
    component: ComponentType
    variable: VariableType
    customData: NotRequired[dict[str, Any]]

SetVariableStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
    "RebootRequired",
]

class SetVariablesRequest(TypedDict):
    setVariableData: list[SetVariableDataType]
    customData: NotRequired[dict[str, Any]]

class SetVariablesResponse(TypedDict):
    setVariableResult: list[SetVariableResultType]
    customData: NotRequired[dict[str, Any]]

class SignCertificateRequest(TypedDict):
    csr: str
    certificateType: NotRequired[CertificateSigningUseEnumType]
    hashRootCertificate: NotRequired[CertificateHashDataType]
    requestId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class SignCertificateResponse(TypedDict):
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class SignedMeterValueType(TypedDict):
    signedMeterData: str
    signingMethod: NotRequired[str]
    encodingMethod: str
    publicKey: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class StatusInfoType(TypedDict):
    reasonCode: str
    additionalInfo: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class StatusNotificationRequest(TypedDict):
    timestamp: str
    connectorStatus: ConnectorStatusEnumType
    evseId: int
    connectorId: int
    customData: NotRequired[dict[str, Any]]

class StatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class StreamDataElementType(TypedDict):
    t: float
    v: str
    customData: NotRequired[dict[str, Any]]

class TariffAssignmentType(TypedDict):
    tariffId: str
    tariffKind: TariffKindEnumType
    validFrom: NotRequired[str]
    evseIds: NotRequired[list[int]]
    idTokens: NotRequired[list[str]]
    customData: NotRequired[dict[str, Any]]

TariffChangeStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "TooManyElements",
    "ConditionNotSupported",
    "TxNotFound",
    "NoCurrencyChange",
]

TariffClearStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NoTariff",
]

class TariffConditionsFixedType(TypedDict):
    startTimeOfDay: NotRequired[str]
    endTimeOfDay: NotRequired[str]
    dayOfWeek: NotRequired[list[DayOfWeekEnumType]]
    validFromDate: NotRequired[str]
    validToDate: NotRequired[str]
    evseKind: NotRequired[EvseKindEnumType]
    paymentBrand: NotRequired[str]
    paymentRecognition: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class TariffConditionsType(TypedDict):
    startTimeOfDay: NotRequired[str]
    endTimeOfDay: NotRequired[str]
    dayOfWeek: NotRequired[list[DayOfWeekEnumType]]
    validFromDate: NotRequired[str]
    validToDate: NotRequired[str]
    evseKind: NotRequired[EvseKindEnumType]
    minEnergy: NotRequired[float]
    maxEnergy: NotRequired[float]
    minCurrent: NotRequired[float]
    maxCurrent: NotRequired[float]
    minPower: NotRequired[float]
    maxPower: NotRequired[float]
    minTime: NotRequired[int]
    maxTime: NotRequired[int]
    minChargingTime: NotRequired[int]
    maxChargingTime: NotRequired[int]
    minIdleTime: NotRequired[int]
    maxIdleTime: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

TariffCostEnumType: TypeAlias = Literal[
    "NormalCost",
    "MinCost",
    "MaxCost",
]

class TariffEnergyPriceType(TypedDict):
    priceKwh: float
    conditions: NotRequired[TariffConditionsType]
    customData: NotRequired[dict[str, Any]]

class TariffEnergyType(TypedDict):
    prices: list[TariffEnergyPriceType]
    taxRates: NotRequired[list[TaxRateType]]
    customData: NotRequired[dict[str, Any]]

class TariffFixedPriceType(TypedDict):
    conditions: NotRequired[TariffConditionsFixedType]
    priceFixed: float
    customData: NotRequired[dict[str, Any]]

class TariffFixedType(TypedDict):
    prices: list[TariffFixedPriceType]
    taxRates: NotRequired[list[TaxRateType]]
    customData: NotRequired[dict[str, Any]]

TariffGetStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NoTariff",
]

TariffKindEnumType: TypeAlias = Literal[
    "DefaultTariff",
    "DriverTariff",
]

TariffSetStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "TooManyElements",
    "ConditionNotSupported",
    "DuplicateTariffId",
]

class TariffTimePriceType(TypedDict):
    priceMinute: float
    conditions: NotRequired[TariffConditionsType]
    customData: NotRequired[dict[str, Any]]

class TariffTimeType(TypedDict):
    prices: list[TariffTimePriceType]
    taxRates: NotRequired[list[TaxRateType]]
    customData: NotRequired[dict[str, Any]]

class TariffType(TypedDict):
    tariffId: str
    description: NotRequired[list[MessageContentType]]
    currency: str
    energy: NotRequired[TariffEnergyType]
    validFrom: NotRequired[str]
    chargingTime: NotRequired[TariffTimeType]
    idleTime: NotRequired[TariffTimeType]
    fixedFee: NotRequired[TariffFixedType]
    reservationTime: NotRequired[TariffTimeType]
    reservationFixed: NotRequired[TariffFixedType]
    minCost: NotRequired[PriceType]
    maxCost: NotRequired[PriceType]
    customData: NotRequired[dict[str, Any]]

class TaxRateType(TypedDict):
    type: str
    tax: float
    stack: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class TaxRuleType(TypedDict):
    taxRuleID: int
    taxRuleName: NotRequired[str]
    taxIncludedInPrice: NotRequired[bool]
    appliesToEnergyFee: bool
    appliesToParkingFee: bool
    appliesToOverstayFee: bool
    appliesToMinimumMaximumCost: bool
    taxRate: RationalNumberType
    customData: NotRequired[dict[str, Any]]

class TotalCostType(TypedDict):
    currency: str
    typeOfCost: TariffCostEnumType
    fixed: NotRequired[PriceType]
    energy: NotRequired[PriceType]
    chargingTime: NotRequired[PriceType]
    idleTime: NotRequired[PriceType]
    reservationTime: NotRequired[PriceType]
    reservationFixed: NotRequired[PriceType]
    total: TotalPriceType
    customData: NotRequired[dict[str, Any]]

class TotalPriceType(TypedDict):
    exclTax: NotRequired[float]
    inclTax: NotRequired[float]
    customData: NotRequired[dict[str, Any]]

class TotalUsageType(TypedDict):
    energy: float
    chargingTime: int
    idleTime: int
    reservationTime: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

TransactionEventEnumType: TypeAlias = Literal[
    "Ended",
    "Started",
    "Updated",
]

class TransactionEventRequest(TypedDict):
    costDetails: NotRequired[CostDetailsType]
    eventType: TransactionEventEnumType
    meterValue: NotRequired[list[MeterValueType]]
    timestamp: str
    triggerReason: TriggerReasonEnumType
    seqNo: int
    offline: NotRequired[bool]
    numberOfPhasesUsed: NotRequired[int]
    cableMaxCurrent: NotRequired[int]
    reservationId: NotRequired[int]
    preconditioningStatus: NotRequired[PreconditioningStatusEnumType]
    evseSleep: NotRequired[bool]
    transactionInfo: TransactionType
    evse: NotRequired[EVSEType]
    idToken: NotRequired[IdTokenType]
    customData: NotRequired[dict[str, Any]]

class TransactionEventResponse(TypedDict):
    totalCost: NotRequired[float]
    chargingPriority: NotRequired[int]
    idTokenInfo: NotRequired[IdTokenInfoType]
    transactionLimit: NotRequired[TransactionLimitType]
    updatedPersonalMessage: NotRequired[MessageContentType]
    updatedPersonalMessageExtra: NotRequired[list[MessageContentType]]
    customData: NotRequired[dict[str, Any]]

class TransactionLimitType(TypedDict):
    maxCost: NotRequired[float]
    maxEnergy: NotRequired[float]
    maxTime: NotRequired[int]
    maxSoC: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class TransactionType(TypedDict):
    transactionId: str
    chargingState: NotRequired[ChargingStateEnumType]
    timeSpentCharging: NotRequired[int]
    stoppedReason: NotRequired[ReasonEnumType]
    remoteStartId: NotRequired[int]
    operationMode: NotRequired[OperationModeEnumType]
    tariffId: NotRequired[str]
    transactionLimit: NotRequired[TransactionLimitType]
    customData: NotRequired[dict[str, Any]]

class TriggerMessageRequest(TypedDict):
    evse: NotRequired[EVSEType]
    requestedMessage: MessageTriggerEnumType
    customTrigger: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class TriggerMessageResponse(TypedDict):
    status: TriggerMessageStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

TriggerMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotImplemented",
]

TriggerReasonEnumType: TypeAlias = Literal[
    "AbnormalCondition",
    "Authorized",
    "CablePluggedIn",
    "ChargingRateChanged",
    "ChargingStateChanged",
    "CostLimitReached",
    "Deauthorized",
    "EnergyLimitReached",
    "EVCommunicationLost",
    "EVConnectTimeout",
    "EVDeparted",
    "EVDetected",
    "LimitSet",
    "MeterValueClock",
    "MeterValuePeriodic",
    "OperationModeChanged",
    "RemoteStart",
    "RemoteStop",
    "ResetCommand",
    "RunningCost",
    "SignedDataReceived",
    "SoCLimitReached",
    "StopAuthorized",
    "TariffChanged",
    "TariffNotAccepted",
    "TimeLimitReached",
    "Trigger",
    "TxResumed",
    "UnlockCommand",
]

class UnitOfMeasureType(TypedDict):
    unit: NotRequired[str]
    multiplier: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class UnlockConnectorRequest(TypedDict):
    evseId: int
    connectorId: int
    customData: NotRequired[dict[str, Any]]

class UnlockConnectorResponse(TypedDict):
    status: UnlockStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

UnlockStatusEnumType: TypeAlias = Literal[
    "Unlocked",
    "UnlockFailed",
    "OngoingAuthorizedTransaction",
    "UnknownConnector",
]

class UnpublishFirmwareRequest(TypedDict):
    checksum: str
    customData: NotRequired[dict[str, Any]]

class UnpublishFirmwareResponse(TypedDict):
    status: UnpublishFirmwareStatusEnumType
    customData: NotRequired[dict[str, Any]]

UnpublishFirmwareStatusEnumType: TypeAlias = Literal[
    "DownloadOngoing",
    "NoFirmware",
    "Unpublished",
]

class UpdateDynamicScheduleRequest(TypedDict):
    chargingProfileId: int
    scheduleUpdate: ChargingScheduleUpdateType
    customData: NotRequired[dict[str, Any]]

class UpdateDynamicScheduleResponse(TypedDict):
    status: ChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

UpdateEnumType: TypeAlias = Literal[
    "Differential",
    "Full",
]

class UpdateFirmwareRequest(TypedDict):
    retries: NotRequired[int]
    retryInterval: NotRequired[int]
    requestId: int
    firmware: FirmwareType
    customData: NotRequired[dict[str, Any]]

class UpdateFirmwareResponse(TypedDict):
    status: UpdateFirmwareStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

UpdateFirmwareStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "AcceptedCanceled",
    "InvalidCertificate",
    "RevokedCertificate",
]

UploadLogStatusEnumType: TypeAlias = Literal[
    "BadMessage",
    "Idle",
    "NotSupportedOperation",
    "PermissionDenied",
    "Uploaded",
    "UploadFailure",
    "Uploading",
    "AcceptedCanceled",
]

class UsePriorityChargingRequest(TypedDict):
    transactionId: str
    activate: bool
    customData: NotRequired[dict[str, Any]]

class UsePriorityChargingResponse(TypedDict):
    status: PriorityChargingStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    customData: NotRequired[dict[str, Any]]

class V2XChargingParametersType(TypedDict):
    minChargePower: NotRequired[float]
    minChargePower_L2: NotRequired[float]
    minChargePower_L3: NotRequired[float]
    maxChargePower: NotRequired[float]
    maxChargePower_L2: NotRequired[float]
    maxChargePower_L3: NotRequired[float]
    minDischargePower: NotRequired[float]
    minDischargePower_L2: NotRequired[float]
    minDischargePower_L3: NotRequired[float]
    maxDischargePower: NotRequired[float]
    maxDischargePower_L2: NotRequired[float]
    maxDischargePower_L3: NotRequired[float]
    minChargeCurrent: NotRequired[float]
    maxChargeCurrent: NotRequired[float]
    minDischargeCurrent: NotRequired[float]
    maxDischargeCurrent: NotRequired[float]
    minVoltage: NotRequired[float]
    maxVoltage: NotRequired[float]
    evTargetEnergyRequest: NotRequired[float]
    evMinEnergyRequest: NotRequired[float]
    evMaxEnergyRequest: NotRequired[float]
    evMinV2XEnergyRequest: NotRequired[float]
    evMaxV2XEnergyRequest: NotRequired[float]
    targetSoC: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class V2XFreqWattPointType(TypedDict):
    frequency: float
    power: float
    customData: NotRequired[dict[str, Any]]

class V2XSignalWattPointType(TypedDict):
    signal: int
    power: float
    customData: NotRequired[dict[str, Any]]

VPNEnumType: TypeAlias = Literal[
    "IKEv2",
    "IPSec",
    "L2TP",
    "PPTP",
]

class VPNType(TypedDict):
    server: str
    user: str
    group: NotRequired[str]
    password: str
    key: str
    type: VPNEnumType
    customData: NotRequired[dict[str, Any]]

class VariableAttributeType(TypedDict):
    type: NotRequired[AttributeEnumType]
    value: NotRequired[str]
    mutability: NotRequired[MutabilityEnumType]
    persistent: NotRequired[bool]
    constant: NotRequired[bool]
    customData: NotRequired[dict[str, Any]]

class VariableCharacteristicsType(TypedDict):
    unit: NotRequired[str]
    dataType: DataEnumType
    minLimit: NotRequired[float]
    maxLimit: NotRequired[float]
    maxElements: NotRequired[int]
    valuesList: NotRequired[str]
    supportsMonitoring: bool
    customData: NotRequired[dict[str, Any]]

class VariableMonitoringType(TypedDict):
    id: int
    transaction: bool
    value: float
    type: MonitorEnumType
    severity: int
    eventNotificationType: EventNotificationEnumType
    customData: NotRequired[dict[str, Any]]

class VariableType(TypedDict):
    name: str
    instance: NotRequired[str]
    customData: NotRequired[dict[str, Any]]

class VatNumberValidationRequest(TypedDict):
    vatNumber: str
    evseId: NotRequired[int]
    customData: NotRequired[dict[str, Any]]

class VatNumberValidationResponse(TypedDict):
    company: NotRequired[AddressType]
    statusInfo: NotRequired[StatusInfoType]
    vatNumber: str
    evseId: NotRequired[int]
    status: GenericStatusEnumType
    customData: NotRequired[dict[str, Any]]

class VoltageParamsType(TypedDict):
    hv10MinMeanValue: NotRequired[float]
    hv10MinMeanTripDelay: NotRequired[float]
    powerDuringCessation: NotRequired[PowerDuringCessationEnumType]
    customData: NotRequired[dict[str, Any]]
