# Payloads of ocpp2.0.1, for the type checker only. Written by `generate_types`: do not edit.

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

class ACChargingParametersType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    energyAmount: int
    evMinCurrent: int
    evMaxCurrent: int
    evMaxVoltage: int

APNAuthenticationEnumType: TypeAlias = Literal[
    "CHAP",
    "NONE",
    "PAP",
    "AUTO",
]

class APNType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    apn: str
    apnUserName: NotRequired[str]
    apnPassword: NotRequired[str]
    simPin: NotRequired[int]
    preferredNetwork: NotRequired[str]
    useOnlyPreferredNetwork: NotRequired[bool]
    apnAuthentication: APNAuthenticationEnumType

class AdditionalInfoType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    additionalIdToken: str
    type: str

AttributeEnumType: TypeAlias = Literal[
    "Actual",
    "Target",
    "MinSet",
    "MaxSet",
]

class AuthorizationData(TypedDict):
    customData: NotRequired[dict[str, Any]]
    idToken: IdTokenType
    idTokenInfo: NotRequired[IdTokenInfoType]

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
    customData: NotRequired[dict[str, Any]]
    idToken: IdTokenType
    certificate: NotRequired[str]
    iso15118CertificateHashData: NotRequired[list[OCSPRequestDataType]]

class AuthorizeResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    idTokenInfo: IdTokenInfoType
    certificateStatus: NotRequired[AuthorizeCertificateStatusEnumType]

class BootNotificationRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingStation: ChargingStationType
    reason: BootReasonEnumType

class BootNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    currentTime: str
    interval: int
    status: RegistrationStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

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
    customData: NotRequired[dict[str, Any]]
    reservationId: int

class CancelReservationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: CancelReservationStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

CancelReservationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

CertificateActionEnumType: TypeAlias = Literal[
    "Install",
    "Update",
]

class CertificateHashDataChainType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    certificateHashData: CertificateHashDataType
    certificateType: GetCertificateIdUseEnumType
    childCertificateHashData: NotRequired[list[CertificateHashDataType]]

class CertificateHashDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    hashAlgorithm: HashAlgorithmEnumType
    issuerNameHash: str
    issuerKeyHash: str
    serialNumber: str

class CertificateSignedRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    certificateChain: str
    certificateType: NotRequired[CertificateSigningUseEnumType]

class CertificateSignedResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: CertificateSignedStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

CertificateSignedStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

CertificateSigningUseEnumType: TypeAlias = Literal[
    "ChargingStationCertificate",
    "V2GCertificate",
]

class ChangeAvailabilityRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evse: NotRequired[EVSEType]
    operationalStatus: OperationalStatusEnumType

class ChangeAvailabilityResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ChangeAvailabilityStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

ChangeAvailabilityStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Scheduled",
]

ChargingLimitSourceEnumType: TypeAlias = Literal[
    "EMS",
    "Other",
    "SO",
    "CSO",
]

class ChargingLimitType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingLimitSource: ChargingLimitSourceEnumType
    isGridCritical: NotRequired[bool]

class ChargingNeedsType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    acChargingParameters: NotRequired[ACChargingParametersType]
    dcChargingParameters: NotRequired[DCChargingParametersType]
    requestedEnergyTransfer: EnergyTransferModeEnumType
    departureTime: NotRequired[str]

class ChargingProfileCriterionType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingProfilePurpose: NotRequired[ChargingProfilePurposeEnumType]
    stackLevel: NotRequired[int]
    chargingProfileId: NotRequired[list[int]]
    chargingLimitSource: NotRequired[list[ChargingLimitSourceEnumType]]

ChargingProfileKindEnumType: TypeAlias = Literal[
    "Absolute",
    "Recurring",
    "Relative",
]

ChargingProfilePurposeEnumType: TypeAlias = Literal[
    "ChargingStationExternalConstraints",
    "ChargingStationMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
]

ChargingProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class ChargingProfileType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int
    stackLevel: int
    chargingProfilePurpose: ChargingProfilePurposeEnumType
    chargingProfileKind: ChargingProfileKindEnumType
    recurrencyKind: NotRequired[RecurrencyKindEnumType]
    validFrom: NotRequired[str]
    validTo: NotRequired[str]
    chargingSchedule: list[ChargingScheduleType]
    transactionId: NotRequired[str]

ChargingRateUnitEnumType: TypeAlias = Literal[
    "W",
    "A",
]

class ChargingSchedulePeriodType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    startPeriod: int
    limit: float
    numberPhases: NotRequired[int]
    phaseToUse: NotRequired[int]

class ChargingScheduleType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int
    startSchedule: NotRequired[str]
    duration: NotRequired[int]
    chargingRateUnit: ChargingRateUnitEnumType
    chargingSchedulePeriod: list[ChargingSchedulePeriodType]
    minChargingRate: NotRequired[float]
    salesTariff: NotRequired[SalesTariffType]

ChargingStateEnumType: TypeAlias = Literal[
    "Charging",
    "EVConnected",
    "SuspendedEV",
    "SuspendedEVSE",
    "Idle",
]

class ChargingStationType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    serialNumber: NotRequired[str]
    model: str
    modem: NotRequired[ModemType]
    vendorName: str
    firmwareVersion: NotRequired[str]

class ClearCacheRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ClearCacheResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ClearCacheStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

ClearCacheStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class ClearChargingProfileRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingProfileId: NotRequired[int]
    chargingProfileCriteria: NotRequired[ClearChargingProfileType]

class ClearChargingProfileResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ClearChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

ClearChargingProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Unknown",
]

class ClearChargingProfileType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evseId: NotRequired[int]
    chargingProfilePurpose: NotRequired[ChargingProfilePurposeEnumType]
    stackLevel: NotRequired[int]

class ClearDisplayMessageRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int

class ClearDisplayMessageResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ClearMessageStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

ClearMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Unknown",
]

class ClearMonitoringResultType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ClearMonitoringStatusEnumType
    id: int
    statusInfo: NotRequired[StatusInfoType]

ClearMonitoringStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotFound",
]

class ClearVariableMonitoringRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: list[int]

class ClearVariableMonitoringResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    clearMonitoringResult: list[ClearMonitoringResultType]

class ClearedChargingLimitRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingLimitSource: ChargingLimitSourceEnumType
    evseId: NotRequired[int]

class ClearedChargingLimitResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

ComponentCriterionEnumType: TypeAlias = Literal[
    "Active",
    "Available",
    "Enabled",
    "Problem",
]

class ComponentType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evse: NotRequired[EVSEType]
    name: str
    instance: NotRequired[str]

class ComponentVariableType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    component: ComponentType
    variable: NotRequired[VariableType]

class CompositeScheduleType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingSchedulePeriod: list[ChargingSchedulePeriodType]
    evseId: int
    duration: int
    scheduleStart: str
    chargingRateUnit: ChargingRateUnitEnumType

ConnectorEnumType: TypeAlias = Literal[
    "cCCS1",
    "cCCS2",
    "cG105",
    "cTesla",
    "cType1",
    "cType2",
    "s309-1P-16A",
    "s309-1P-32A",
    "s309-3P-16A",
    "s309-3P-32A",
    "sBS1361",
    "sCEE-7-7",
    "sType2",
    "sType3",
    "Other1PhMax16A",
    "Other1PhOver16A",
    "Other3Ph",
    "Pan",
    "wInductive",
    "wResonant",
    "Undetermined",
    "Unknown",
]

ConnectorStatusEnumType: TypeAlias = Literal[
    "Available",
    "Occupied",
    "Reserved",
    "Unavailable",
    "Faulted",
]

class ConsumptionCostType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    startValue: float
    cost: list[CostType]

CostKindEnumType: TypeAlias = Literal[
    "CarbonDioxideEmission",
    "RelativePricePercentage",
    "RenewableGenerationPercentage",
]

class CostType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    costKind: CostKindEnumType
    amount: int
    amountMultiplier: NotRequired[int]

class CostUpdatedRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    totalCost: float
    transactionId: str

class CostUpdatedResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class CustomerInformationRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    customerCertificate: NotRequired[CertificateHashDataType]
    idToken: NotRequired[IdTokenType]
    requestId: int
    report: bool
    clear: bool
    customerIdentifier: NotRequired[str]

class CustomerInformationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: CustomerInformationStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

CustomerInformationStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Invalid",
]

class DCChargingParametersType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evMaxCurrent: int
    evMaxVoltage: int
    energyAmount: NotRequired[int]
    evMaxPower: NotRequired[int]
    stateOfCharge: NotRequired[int]
    evEnergyCapacity: NotRequired[int]
    fullSoC: NotRequired[int]
    bulkSoC: NotRequired[int]

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
    customData: NotRequired[dict[str, Any]]
    messageId: NotRequired[str]
    data: NotRequired[Any]
    vendorId: str

class DataTransferResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: DataTransferStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    data: NotRequired[Any]

DataTransferStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownMessageId",
    "UnknownVendorId",
]

class DeleteCertificateRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    certificateHashData: CertificateHashDataType

class DeleteCertificateResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: DeleteCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

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
]

class EVSEType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int
    connectorId: NotRequired[int]

EnergyTransferModeEnumType: TypeAlias = Literal[
    "DC",
    "AC_single_phase",
    "AC_two_phase",
    "AC_three_phase",
]

class EventDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
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
    customData: NotRequired[dict[str, Any]]
    status: FirmwareStatusEnumType
    requestId: NotRequired[int]

class FirmwareStatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class FirmwareType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    location: str
    retrieveDateTime: str
    installDateTime: NotRequired[str]
    signingCertificate: NotRequired[str]
    signature: NotRequired[str]

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
    customData: NotRequired[dict[str, Any]]
    iso15118SchemaVersion: str
    action: CertificateActionEnumType
    exiRequest: str

class Get15118EVCertificateResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: Iso15118EVCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    exiResponse: str

class GetBaseReportRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    requestId: int
    reportBase: ReportBaseEnumType

class GetBaseReportResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

GetCertificateIdUseEnumType: TypeAlias = Literal[
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "V2GCertificateChain",
    "ManufacturerRootCertificate",
]

GetCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
]

class GetCertificateStatusRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    ocspRequestData: OCSPRequestDataType

class GetCertificateStatusResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GetCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    ocspResult: NotRequired[str]

GetChargingProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NoProfiles",
]

class GetChargingProfilesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    requestId: int
    evseId: NotRequired[int]
    chargingProfile: ChargingProfileCriterionType

class GetChargingProfilesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GetChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class GetCompositeScheduleRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    duration: int
    chargingRateUnit: NotRequired[ChargingRateUnitEnumType]
    evseId: int

class GetCompositeScheduleResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    schedule: NotRequired[CompositeScheduleType]

class GetDisplayMessagesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: NotRequired[list[int]]
    requestId: int
    priority: NotRequired[MessagePriorityEnumType]
    state: NotRequired[MessageStateEnumType]

class GetDisplayMessagesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GetDisplayMessagesStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

GetDisplayMessagesStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Unknown",
]

class GetInstalledCertificateIdsRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    certificateType: NotRequired[list[GetCertificateIdUseEnumType]]

class GetInstalledCertificateIdsResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GetInstalledCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    certificateHashDataChain: NotRequired[list[CertificateHashDataChainType]]

GetInstalledCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NotFound",
]

class GetLocalListVersionRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class GetLocalListVersionResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    versionNumber: int

class GetLogRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    log: LogParametersType
    logType: LogEnumType
    requestId: int
    retries: NotRequired[int]
    retryInterval: NotRequired[int]

class GetLogResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: LogStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    filename: NotRequired[str]

class GetMonitoringReportRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    componentVariable: NotRequired[list[ComponentVariableType]]
    requestId: int
    monitoringCriteria: NotRequired[list[MonitoringCriterionEnumType]]

class GetMonitoringReportResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class GetReportRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    componentVariable: NotRequired[list[ComponentVariableType]]
    requestId: int
    componentCriteria: NotRequired[list[ComponentCriterionEnumType]]

class GetReportResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class GetTransactionStatusRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    transactionId: NotRequired[str]

class GetTransactionStatusResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    ongoingIndicator: NotRequired[bool]
    messagesInQueue: bool

class GetVariableDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    attributeType: NotRequired[AttributeEnumType]
    component: ComponentType
    variable: VariableType

class GetVariableResultType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    attributeStatusInfo: NotRequired[StatusInfoType]
    attributeStatus: GetVariableStatusEnumType
    attributeType: NotRequired[AttributeEnumType]
    attributeValue: NotRequired[str]
    component: ComponentType
    variable: VariableType

GetVariableStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
]

class GetVariablesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    getVariableData: list[GetVariableDataType]

class GetVariablesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    getVariableResult: list[GetVariableResultType]

HashAlgorithmEnumType: TypeAlias = Literal[
    "SHA256",
    "SHA384",
    "SHA512",
]

class HeartbeatRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]

class HeartbeatResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    currentTime: str

IdTokenEnumType: TypeAlias = Literal[
    "Central",
    "eMAID",
    "ISO14443",
    "ISO15693",
    "KeyCode",
    "Local",
    "MacAddress",
    "NoAuthorization",
]

class IdTokenInfoType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: AuthorizationStatusEnumType
    cacheExpiryDateTime: NotRequired[str]
    chargingPriority: NotRequired[int]
    language1: NotRequired[str]
    evseId: NotRequired[list[int]]
    groupIdToken: NotRequired[IdTokenType]
    language2: NotRequired[str]
    personalMessage: NotRequired[MessageContentType]

class IdTokenType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    additionalInfo: NotRequired[list[AdditionalInfoType]]
    idToken: str
    type: IdTokenEnumType

class InstallCertificateRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    certificateType: InstallCertificateUseEnumType
    certificate: str

class InstallCertificateResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: InstallCertificateStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

InstallCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Failed",
]

InstallCertificateUseEnumType: TypeAlias = Literal[
    "V2GRootCertificate",
    "MORootCertificate",
    "CSMSRootCertificate",
    "ManufacturerRootCertificate",
]

Iso15118EVCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
]

LocationEnumType: TypeAlias = Literal[
    "Body",
    "Cable",
    "EV",
    "Inlet",
    "Outlet",
]

LogEnumType: TypeAlias = Literal[
    "DiagnosticsLog",
    "SecurityLog",
]

class LogParametersType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    remoteLocation: str
    oldestTimestamp: NotRequired[str]
    latestTimestamp: NotRequired[str]

LogStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "AcceptedCanceled",
]

class LogStatusNotificationRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: UploadLogStatusEnumType
    requestId: NotRequired[int]

class LogStatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

MeasurandEnumType: TypeAlias = Literal[
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Active.Net",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Energy.Reactive.Net",
    "Energy.Apparent.Net",
    "Energy.Apparent.Import",
    "Energy.Apparent.Export",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Factor",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "SoC",
    "Voltage",
]

class MessageContentType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    format: MessageFormatEnumType
    language: NotRequired[str]
    content: str

MessageFormatEnumType: TypeAlias = Literal[
    "ASCII",
    "HTML",
    "URI",
    "UTF8",
]

class MessageInfoType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    display: NotRequired[ComponentType]
    id: int
    priority: MessagePriorityEnumType
    state: NotRequired[MessageStateEnumType]
    startDateTime: NotRequired[str]
    endDateTime: NotRequired[str]
    transactionId: NotRequired[str]
    message: MessageContentType

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
]

MessageTriggerEnumType: TypeAlias = Literal[
    "BootNotification",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "SignChargingStationCertificate",
    "SignV2GCertificate",
    "StatusNotification",
    "TransactionEvent",
    "SignCombinedCertificate",
    "PublishFirmwareStatusNotification",
]

class MeterValueType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    sampledValue: list[SampledValueType]
    timestamp: str

class MeterValuesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evseId: int
    meterValue: list[MeterValueType]

class MeterValuesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ModemType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    iccid: NotRequired[str]
    imsi: NotRequired[str]

MonitorEnumType: TypeAlias = Literal[
    "UpperThreshold",
    "LowerThreshold",
    "Delta",
    "Periodic",
    "PeriodicClockAligned",
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
    customData: NotRequired[dict[str, Any]]
    component: ComponentType
    variable: VariableType
    variableMonitoring: list[VariableMonitoringType]

MutabilityEnumType: TypeAlias = Literal[
    "ReadOnly",
    "WriteOnly",
    "ReadWrite",
]

class NetworkConnectionProfileType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    apn: NotRequired[APNType]
    ocppVersion: OCPPVersionEnumType
    ocppTransport: OCPPTransportEnumType
    ocppCsmsUrl: str
    messageTimeout: int
    securityProfile: int
    ocppInterface: OCPPInterfaceEnumType
    vpn: NotRequired[VPNType]

class NotifyChargingLimitRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    chargingSchedule: NotRequired[list[ChargingScheduleType]]
    evseId: NotRequired[int]
    chargingLimit: ChargingLimitType

class NotifyChargingLimitResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyCustomerInformationRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    data: str
    tbc: NotRequired[bool]
    seqNo: int
    generatedAt: str
    requestId: int

class NotifyCustomerInformationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyDisplayMessagesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    messageInfo: NotRequired[list[MessageInfoType]]
    requestId: int
    tbc: NotRequired[bool]

class NotifyDisplayMessagesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyEVChargingNeedsRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    maxScheduleTuples: NotRequired[int]
    chargingNeeds: ChargingNeedsType
    evseId: int

class NotifyEVChargingNeedsResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: NotifyEVChargingNeedsStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

NotifyEVChargingNeedsStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Processing",
]

class NotifyEVChargingScheduleRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    timeBase: str
    chargingSchedule: ChargingScheduleType
    evseId: int

class NotifyEVChargingScheduleResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class NotifyEventRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    generatedAt: str
    tbc: NotRequired[bool]
    seqNo: int
    eventData: list[EventDataType]

class NotifyEventResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyMonitoringReportRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    monitor: NotRequired[list[MonitoringDataType]]
    requestId: int
    tbc: NotRequired[bool]
    seqNo: int
    generatedAt: str

class NotifyMonitoringReportResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class NotifyReportRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    requestId: int
    generatedAt: str
    reportData: NotRequired[list[ReportDataType]]
    tbc: NotRequired[bool]
    seqNo: int

class NotifyReportResponse(TypedDict):
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
]

OCPPTransportEnumType: TypeAlias = Literal[
    "JSON",
    "SOAP",
]

OCPPVersionEnumType: TypeAlias = Literal[
    "OCPP12",
    "OCPP15",
    "OCPP16",
    "OCPP20",
]

class OCSPRequestDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    hashAlgorithm: HashAlgorithmEnumType
    issuerNameHash: str
    issuerKeyHash: str
    serialNumber: str
    responderURL: str

OperationalStatusEnumType: TypeAlias = Literal[
    "Inoperative",
    "Operative",
]

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

class PublishFirmwareRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    location: str
    retries: NotRequired[int]
    checksum: str
    requestId: int
    retryInterval: NotRequired[int]

class PublishFirmwareResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

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
    customData: NotRequired[dict[str, Any]]
    status: PublishFirmwareStatusEnumType
    location: NotRequired[list[str]]
    requestId: NotRequired[int]

class PublishFirmwareStatusNotificationResponse(TypedDict):
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
    "Local",
    "LocalOutOfCredit",
    "MasterPass",
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
    customData: NotRequired[dict[str, Any]]
    start: int
    duration: NotRequired[int]

ReportBaseEnumType: TypeAlias = Literal[
    "ConfigurationInventory",
    "FullInventory",
    "SummaryInventory",
]

class ReportChargingProfilesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    requestId: int
    chargingLimitSource: ChargingLimitSourceEnumType
    chargingProfile: list[ChargingProfileType]
    tbc: NotRequired[bool]
    evseId: int

class ReportChargingProfilesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class ReportDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    component: ComponentType
    variable: VariableType
    variableAttribute: list[VariableAttributeType]
    variableCharacteristics: NotRequired[VariableCharacteristicsType]

RequestStartStopStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class RequestStartTransactionRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evseId: NotRequired[int]
    groupIdToken: NotRequired[IdTokenType]
    idToken: IdTokenType
    remoteStartId: int
    chargingProfile: NotRequired[ChargingProfileType]

class RequestStartTransactionResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: RequestStartStopStatusEnumType
    statusInfo: NotRequired[StatusInfoType]
    transactionId: NotRequired[str]

class RequestStopTransactionRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    transactionId: str

class RequestStopTransactionResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: RequestStartStopStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class ReservationStatusUpdateRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    reservationId: int
    reservationUpdateStatus: ReservationUpdateStatusEnumType

class ReservationStatusUpdateResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

ReservationUpdateStatusEnumType: TypeAlias = Literal[
    "Expired",
    "Removed",
]

class ReserveNowRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int
    expiryDateTime: str
    connectorType: NotRequired[ConnectorEnumType]
    idToken: IdTokenType
    evseId: NotRequired[int]
    groupIdToken: NotRequired[IdTokenType]

class ReserveNowResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ReserveNowStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

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
]

class ResetRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    type: ResetEnumType
    evseId: NotRequired[int]

class ResetResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ResetStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

ResetStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Scheduled",
]

class SalesTariffEntryType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    relativeTimeInterval: RelativeTimeIntervalType
    ePriceLevel: NotRequired[int]
    consumptionCost: NotRequired[list[ConsumptionCostType]]

class SalesTariffType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int
    salesTariffDescription: NotRequired[str]
    numEPriceLevels: NotRequired[int]
    salesTariffEntry: list[SalesTariffEntryType]

class SampledValueType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    value: float
    context: NotRequired[ReadingContextEnumType]
    measurand: NotRequired[MeasurandEnumType]
    phase: NotRequired[PhaseEnumType]
    location: NotRequired[LocationEnumType]
    signedMeterValue: NotRequired[SignedMeterValueType]
    unitOfMeasure: NotRequired[UnitOfMeasureType]

class SecurityEventNotificationRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    type: str
    timestamp: str
    techInfo: NotRequired[str]

class SecurityEventNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

class SendLocalListRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    localAuthorizationList: NotRequired[list[AuthorizationData]]
    versionNumber: int
    updateType: UpdateEnumType

class SendLocalListResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: SendLocalListStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

SendLocalListStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
    "VersionMismatch",
]

class SetChargingProfileRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evseId: int
    chargingProfile: ChargingProfileType

class SetChargingProfileResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: ChargingProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class SetDisplayMessageRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    message: MessageInfoType

class SetDisplayMessageResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: DisplayMessageStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class SetMonitoringBaseRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    monitoringBase: MonitoringBaseEnumType

class SetMonitoringBaseResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericDeviceModelStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class SetMonitoringDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: NotRequired[int]
    transaction: NotRequired[bool]
    value: float
    type: MonitorEnumType
    severity: int
    component: ComponentType
    variable: VariableType

class SetMonitoringLevelRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    severity: int

class SetMonitoringLevelResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class SetMonitoringResultType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: NotRequired[int]
    statusInfo: NotRequired[StatusInfoType]
    status: SetMonitoringStatusEnumType
    type: MonitorEnumType
    component: ComponentType
    variable: VariableType
    severity: int

SetMonitoringStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "UnknownComponent",
    "UnknownVariable",
    "UnsupportedMonitorType",
    "Rejected",
    "Duplicate",
]

class SetNetworkProfileRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    configurationSlot: int
    connectionData: NetworkConnectionProfileType

class SetNetworkProfileResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: SetNetworkProfileStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

SetNetworkProfileStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Failed",
]

class SetVariableDataType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    attributeType: NotRequired[AttributeEnumType]
    attributeValue: str
    component: ComponentType
    variable: VariableType

class SetVariableMonitoringRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    setMonitoringData: list[SetMonitoringDataType]

class SetVariableMonitoringResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    setMonitoringResult: list[SetMonitoringResultType]

class SetVariableResultType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    attributeType: NotRequired[AttributeEnumType]
    attributeStatus: SetVariableStatusEnumType
    attributeStatusInfo: NotRequired[StatusInfoType]
    component: ComponentType
    variable: VariableType

SetVariableStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownComponent",
    "UnknownVariable",
    "NotSupportedAttributeType",
    "RebootRequired",
]

class SetVariablesRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    setVariableData: list[SetVariableDataType]

class SetVariablesResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    setVariableResult: list[SetVariableResultType]

class SignCertificateRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    csr: str
    certificateType: NotRequired[CertificateSigningUseEnumType]

class SignCertificateResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: GenericStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

class SignedMeterValueType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    signedMeterData: str
    signingMethod: str
    encodingMethod: str
    publicKey: str

class StatusInfoType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    reasonCode: str
    additionalInfo: NotRequired[str]

class StatusNotificationRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    timestamp: str
    connectorStatus: ConnectorStatusEnumType
    evseId: int
    connectorId: int

class StatusNotificationResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]

TransactionEventEnumType: TypeAlias = Literal[
    "Ended",
    "Started",
    "Updated",
]

class TransactionEventRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    eventType: TransactionEventEnumType
    meterValue: NotRequired[list[MeterValueType]]
    timestamp: str
    triggerReason: TriggerReasonEnumType
    seqNo: int
    offline: NotRequired[bool]
    numberOfPhasesUsed: NotRequired[int]
    cableMaxCurrent: NotRequired[int]
    reservationId: NotRequired[int]
    transactionInfo: TransactionType
    evse: NotRequired[EVSEType]
    idToken: NotRequired[IdTokenType]

class TransactionEventResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    totalCost: NotRequired[float]
    chargingPriority: NotRequired[int]
    idTokenInfo: NotRequired[IdTokenInfoType]
    updatedPersonalMessage: NotRequired[MessageContentType]

class TransactionType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    transactionId: str
    chargingState: NotRequired[ChargingStateEnumType]
    timeSpentCharging: NotRequired[int]
    stoppedReason: NotRequired[ReasonEnumType]
    remoteStartId: NotRequired[int]

class TriggerMessageRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evse: NotRequired[EVSEType]
    requestedMessage: MessageTriggerEnumType

class TriggerMessageResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: TriggerMessageStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

TriggerMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotImplemented",
]

TriggerReasonEnumType: TypeAlias = Literal[
    "Authorized",
    "CablePluggedIn",
    "ChargingRateChanged",
    "ChargingStateChanged",
    "Deauthorized",
    "EnergyLimitReached",
    "EVCommunicationLost",
    "EVConnectTimeout",
    "MeterValueClock",
    "MeterValuePeriodic",
    "TimeLimitReached",
    "Trigger",
    "UnlockCommand",
    "StopAuthorized",
    "EVDeparted",
    "EVDetected",
    "RemoteStop",
    "RemoteStart",
    "AbnormalCondition",
    "SignedDataReceived",
    "ResetCommand",
]

class UnitOfMeasureType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    unit: NotRequired[str]
    multiplier: NotRequired[int]

class UnlockConnectorRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    evseId: int
    connectorId: int

class UnlockConnectorResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: UnlockStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

UnlockStatusEnumType: TypeAlias = Literal[
    "Unlocked",
    "UnlockFailed",
    "OngoingAuthorizedTransaction",
    "UnknownConnector",
]

class UnpublishFirmwareRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    checksum: str

class UnpublishFirmwareResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: UnpublishFirmwareStatusEnumType

UnpublishFirmwareStatusEnumType: TypeAlias = Literal[
    "DownloadOngoing",
    "NoFirmware",
    "Unpublished",
]

UpdateEnumType: TypeAlias = Literal[
    "Differential",
    "Full",
]

class UpdateFirmwareRequest(TypedDict):
    customData: NotRequired[dict[str, Any]]
    retries: NotRequired[int]
    retryInterval: NotRequired[int]
    requestId: int
    firmware: FirmwareType

class UpdateFirmwareResponse(TypedDict):
    customData: NotRequired[dict[str, Any]]
    status: UpdateFirmwareStatusEnumType
    statusInfo: NotRequired[StatusInfoType]

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

VPNEnumType: TypeAlias = Literal[
    "IKEv2",
    "IPSec",
    "L2TP",
    "PPTP",
]

class VPNType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    server: str
    user: str
    group: NotRequired[str]
    password: str
    key: str
    type: VPNEnumType

class VariableAttributeType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    type: NotRequired[AttributeEnumType]
    value: NotRequired[str]
    mutability: NotRequired[MutabilityEnumType]
    persistent: NotRequired[bool]
    constant: NotRequired[bool]

class VariableCharacteristicsType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    unit: NotRequired[str]
    dataType: DataEnumType
    minLimit: NotRequired[float]
    maxLimit: NotRequired[float]
    valuesList: NotRequired[str]
    supportsMonitoring: bool

class VariableMonitoringType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    id: int
    transaction: bool
    value: float
    type: MonitorEnumType
    severity: int

class VariableType(TypedDict):
    customData: NotRequired[dict[str, Any]]
    name: str
    instance: NotRequired[str]
