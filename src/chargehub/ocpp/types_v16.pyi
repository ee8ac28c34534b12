# Payloads of ocpp1.6, for the type checker only. Written by `generate_types`: do not edit.

from typing import Literal, NotRequired, TypeAlias, TypedDict

class AuthorizeRequest(TypedDict):
    idTag: str

class AuthorizeResponse(TypedDict):
    idTagInfo: AuthorizeResponseIdTagInfo

class AuthorizeResponseIdTagInfo(TypedDict):
    expiryDate: NotRequired[str]
    parentIdTag: NotRequired[str]
    status: AuthorizeResponseIdTagInfoStatus

AuthorizeResponseIdTagInfoStatus: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "Expired",
    "Invalid",
    "ConcurrentTx",
]

class BootNotificationRequest(TypedDict):
    chargePointVendor: str
    chargePointModel: str
    chargePointSerialNumber: NotRequired[str]
    chargeBoxSerialNumber: NotRequired[str]
    firmwareVersion: NotRequired[str]
    iccid: NotRequired[str]
    imsi: NotRequired[str]
    meterType: NotRequired[str]
    meterSerialNumber: NotRequired[str]

class BootNotificationResponse(TypedDict):
    status: BootNotificationResponseStatus
    currentTime: str
    interval: int

BootNotificationResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Pending",
    "Rejected",
]

class CancelReservationRequest(TypedDict):
    reservationId: int

class CancelReservationResponse(TypedDict):
    status: CancelReservationResponseStatus

CancelReservationResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class CertificateHashDataType(TypedDict):
    hashAlgorithm: HashAlgorithmEnumType
    issuerNameHash: str
    issuerKeyHash: str
    serialNumber: str

class CertificateSignedRequest(TypedDict):
    certificateChain: str

class CertificateSignedResponse(TypedDict):
    status: CertificateSignedStatusEnumType

CertificateSignedStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

CertificateUseEnumType: TypeAlias = Literal[
    "CentralSystemRootCertificate",
    "ManufacturerRootCertificate",
]

class ChangeAvailabilityRequest(TypedDict):
    connectorId: int
    type: ChangeAvailabilityRequestType

ChangeAvailabilityRequestType: TypeAlias = Literal[
    "Inoperative",
    "Operative",
]

class ChangeAvailabilityResponse(TypedDict):
    status: ChangeAvailabilityResponseStatus

ChangeAvailabilityResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "Scheduled",
]

class ChangeConfigurationRequest(TypedDict):
    key: str
    value: str

class ChangeConfigurationResponse(TypedDict):
    status: ChangeConfigurationResponseStatus

ChangeConfigurationResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "RebootRequired",
    "NotSupported",
]

class ClearCacheRequest(TypedDict): ...

class ClearCacheResponse(TypedDict):
    status: ClearCacheResponseStatus

ClearCacheResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class ClearChargingProfileRequest(TypedDict):
    id: NotRequired[int]
    connectorId: NotRequired[int]
    chargingProfilePurpose: NotRequired[ClearChargingProfileRequestChargingProfilePurpose]
    stackLevel: NotRequired[int]

ClearChargingProfileRequestChargingProfilePurpose: TypeAlias = Literal[
    "ChargePointMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
]

class ClearChargingProfileResponse(TypedDict):
    status: ClearChargingProfileResponseStatus

ClearChargingProfileResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Unknown",
]

class DataTransferRequest(TypedDict):
    vendorId: str
    messageId: NotRequired[str]
    data: NotRequired[str]

class DataTransferResponse(TypedDict):
    status: DataTransferResponseStatus
    data: NotRequired[str]

DataTransferResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "UnknownMessageId",
    "UnknownVendorId",
]

class DeleteCertificateRequest(TypedDict):
    certificateHashData: CertificateHashDataType

class DeleteCertificateResponse(TypedDict):
    status: DeleteCertificateStatusEnumType

DeleteCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
    "NotFound",
]

class DiagnosticsStatusNotificationRequest(TypedDict):
    status: DiagnosticsStatusNotificationRequestStatus

DiagnosticsStatusNotificationRequestStatus: TypeAlias = Literal[
    "Idle",
    "Uploaded",
    "UploadFailed",
    "Uploading",
]

class DiagnosticsStatusNotificationResponse(TypedDict): ...

class ExtendedTriggerMessageRequest(TypedDict):
    requestedMessage: MessageTriggerEnumType
    connectorId: NotRequired[int]

class ExtendedTriggerMessageResponse(TypedDict):
    status: TriggerMessageStatusEnumType

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
    status: FirmwareStatusNotificationRequestStatus

FirmwareStatusNotificationRequestStatus: TypeAlias = Literal[
    "Downloaded",
    "DownloadFailed",
    "Downloading",
    "Idle",
    "InstallationFailed",
    "Installing",
    "Installed",
]

class FirmwareStatusNotificationResponse(TypedDict): ...

class FirmwareType(TypedDict):
    location: str
    retrieveDateTime: str
    installDateTime: NotRequired[str]
    signingCertificate: str
    signature: str

GenericStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class GetCompositeScheduleRequest(TypedDict):
    connectorId: int
    duration: int
    chargingRateUnit: NotRequired[GetCompositeScheduleRequestChargingRateUnit]

GetCompositeScheduleRequestChargingRateUnit: TypeAlias = Literal[
    "A",
    "W",
]

class GetCompositeScheduleResponse(TypedDict):
    status: GetCompositeScheduleResponseStatus
    connectorId: NotRequired[int]
    scheduleStart: NotRequired[str]
    chargingSchedule: NotRequired[GetCompositeScheduleResponseChargingSchedule]

class GetCompositeScheduleResponseChargingSchedule(TypedDict):
    duration: NotRequired[int]
    startSchedule: NotRequired[str]
    chargingRateUnit: GetCompositeScheduleResponseChargingScheduleChargingRateUnit
    chargingSchedulePeriod: list[GetCompositeScheduleResponseChargingSchedulePeriod]
    minChargingRate: NotRequired[float]

GetCompositeScheduleResponseChargingScheduleChargingRateUnit: TypeAlias = Literal[
    "A",
    "W",
]

class GetCompositeScheduleResponseChargingSchedulePeriod(TypedDict):
    startPeriod: int
    limit: float
    numberPhases: NotRequired[int]

GetCompositeScheduleResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class GetConfigurationRequest(TypedDict):
    key: NotRequired[list[str]]

class GetConfigurationResponse(TypedDict):
    configurationKey: NotRequired[list[GetConfigurationResponseConfigurationKey]]
    unknownKey: NotRequired[list[str]]

class GetConfigurationResponseConfigurationKey(TypedDict):
    key: str
    readonly: bool
    value: NotRequired[str]

class GetDiagnosticsRequest(TypedDict):
    location: str
    retries: NotRequired[int]
    retryInterval: NotRequired[int]
    startTime: NotRequired[str]
    stopTime: NotRequired[str]

class GetDiagnosticsResponse(TypedDict):
    fileName: NotRequired[str]

class GetInstalledCertificateIdsRequest(TypedDict):
    certificateType: CertificateUseEnumType

class GetInstalledCertificateIdsResponse(TypedDict):
    certificateHashData: NotRequired[list[CertificateHashDataType]]
    status: GetInstalledCertificateStatusEnumType

GetInstalledCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "NotFound",
]

class GetLocalListVersionRequest(TypedDict): ...

class GetLocalListVersionResponse(TypedDict):
    listVersion: int

class GetLogRequest(TypedDict):
    log: LogParametersType
    logType: LogEnumType
    requestId: int
    retries: NotRequired[int]
    retryInterval: NotRequired[int]

class GetLogResponse(TypedDict):
    status: LogStatusEnumType
    filename: NotRequired[str]

HashAlgorithmEnumType: TypeAlias = Literal[
    "SHA256",
    "SHA384",
    "SHA512",
]

class HeartbeatRequest(TypedDict): ...

class HeartbeatResponse(TypedDict):
    currentTime: str

class InstallCertificateRequest(TypedDict):
    certificateType: CertificateUseEnumType
    certificate: str

class InstallCertificateResponse(TypedDict):
    status: InstallCertificateStatusEnumType

InstallCertificateStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Failed",
    "Rejected",
]

LogEnumType: TypeAlias = Literal[
    "DiagnosticsLog",
    "SecurityLog",
]

class LogParametersType(TypedDict):
    remoteLocation: str
    oldestTimestamp: NotRequired[str]
    latestTimestamp: NotRequired[str]

LogStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "AcceptedCanceled",
]

class LogStatusNotificationRequest(TypedDict):
    status: UploadLogStatusEnumType
    requestId: NotRequired[int]

class LogStatusNotificationResponse(TypedDict): ...

MessageTriggerEnumType: TypeAlias = Literal[
    "BootNotification",
    "LogStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "SignChargePointCertificate",
    "StatusNotification",
]

class MeterValuesRequest(TypedDict):
    connectorId: int
    transactionId: NotRequired[int]
    meterValue: list[MeterValuesRequestMeterValue]

class MeterValuesRequestMeterValue(TypedDict):
    timestamp: str
    sampledValue: list[MeterValuesRequestSampledValue]

class MeterValuesRequestSampledValue(TypedDict):
    value: str
    context: NotRequired[MeterValuesRequestSampledValueContext]
    format: NotRequired[MeterValuesRequestSampledValueFormat]
    measurand: NotRequired[MeterValuesRequestSampledValueMeasurand]
    phase: NotRequired[MeterValuesRequestSampledValuePhase]
    location: NotRequired[MeterValuesRequestSampledValueLocation]
    unit: NotRequired[MeterValuesRequestSampledValueUnit]

MeterValuesRequestSampledValueContext: TypeAlias = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
    "Other",
]

MeterValuesRequestSampledValueFormat: TypeAlias = Literal[
    "Raw",
    "SignedData",
]

MeterValuesRequestSampledValueLocation: TypeAlias = Literal[
    "Cable",
    "EV",
    "Inlet",
    "Outlet",
    "Body",
]

MeterValuesRequestSampledValueMeasurand: TypeAlias = Literal[
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "Power.Factor",
    "Current.Import",
    "Current.Export",
    "Current.Offered",
    "Voltage",
    "Frequency",
    "Temperature",
    "SoC",
    "RPM",
]

MeterValuesRequestSampledValuePhase: TypeAlias = Literal[
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

MeterValuesRequestSampledValueUnit: TypeAlias = Literal[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "K",
    "Celcius",
    "Celsius",
    "Fahrenheit",
    "Percent",
    "Hertz",
]

class MeterValuesResponse(TypedDict): ...

class RemoteStartTransactionRequest(TypedDict):
    connectorId: NotRequired[int]
    idTag: str
    chargingProfile: NotRequired[RemoteStartTransactionRequestChargingProfile]

class RemoteStartTransactionRequestChargingProfile(TypedDict):
    chargingProfileId: int
    transactionId: NotRequired[int]
    stackLevel: int
    chargingProfilePurpose: RemoteStartTransactionRequestChargingProfileChargingProfilePurpose
    chargingProfileKind: RemoteStartTransactionRequestChargingProfileChargingProfileKind
    recurrencyKind: NotRequired[RemoteStartTransactionRequestChargingProfileRecurrencyKind]
    validFrom: NotRequired[str]
    validTo: NotRequired[str]
    chargingSchedule: RemoteStartTransactionRequestChargingSchedule

RemoteStartTransactionRequestChargingProfileChargingProfileKind: TypeAlias = Literal[
    "Absolute",
    "Recurring",
    "Relative",
]

RemoteStartTransactionRequestChargingProfileChargingProfilePurpose: TypeAlias = Literal[
    "ChargePointMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
]

RemoteStartTransactionRequestChargingProfileRecurrencyKind: TypeAlias = Literal[
    "Daily",
    "Weekly",
]

class RemoteStartTransactionRequestChargingSchedule(TypedDict):
    duration: NotRequired[int]
    startSchedule: NotRequired[str]
    chargingRateUnit: RemoteStartTransactionRequestChargingScheduleChargingRateUnit
    chargingSchedulePeriod: list[RemoteStartTransactionRequestChargingSchedulePeriod]
    minChargingRate: NotRequired[float]

RemoteStartTransactionRequestChargingScheduleChargingRateUnit: TypeAlias = Literal[
    "A",
    "W",
]

class RemoteStartTransactionRequestChargingSchedulePeriod(TypedDict):
    startPeriod: int
    limit: float
    numberPhases: NotRequired[int]

class RemoteStartTransactionResponse(TypedDict):
    status: RemoteStartTransactionResponseStatus

RemoteStartTransactionResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class RemoteStopTransactionRequest(TypedDict):
    transactionId: int

class RemoteStopTransactionResponse(TypedDict):
    status: RemoteStopTransactionResponseStatus

RemoteStopTransactionResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class ReserveNowRequest(TypedDict):
    connectorId: int
    expiryDate: str
    idTag: str
    parentIdTag: NotRequired[str]
    reservationId: int

class ReserveNowResponse(TypedDict):
    status: ReserveNowResponseStatus

ReserveNowResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Faulted",
    "Occupied",
    "Rejected",
    "Unavailable",
]

class ResetRequest(TypedDict):
    type: ResetRequestType

ResetRequestType: TypeAlias = Literal[
    "Hard",
    "Soft",
]

class ResetResponse(TypedDict):
    status: ResetResponseStatus

ResetResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
]

class SecurityEventNotificationRequest(TypedDict):
    type: str
    timestamp: str
    techInfo: NotRequired[str]

class SecurityEventNotificationResponse(TypedDict): ...

class SendLocalListRequest(TypedDict):
    listVersion: int
    localAuthorizationList: NotRequired[list[SendLocalListRequestLocalAuthorizationList]]
    updateType: SendLocalListRequestUpdateType

class SendLocalListRequestIdTagInfo(TypedDict):
    expiryDate: NotRequired[str]
    parentIdTag: NotRequired[str]
    status: SendLocalListRequestIdTagInfoStatus

SendLocalListRequestIdTagInfoStatus: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "Expired",
    "Invalid",
    "ConcurrentTx",
]

class SendLocalListRequestLocalAuthorizationList(TypedDict):
    idTag: str
    idTagInfo: NotRequired[SendLocalListRequestIdTagInfo]

SendLocalListRequestUpdateType: TypeAlias = Literal[
    "Differential",
    "Full",
]

class SendLocalListResponse(TypedDict):
    status: SendLocalListResponseStatus

SendLocalListResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Failed",
    "NotSupported",
    "VersionMismatch",
]

class SetChargingProfileRequest(TypedDict):
    connectorId: int
    csChargingProfiles: SetChargingProfileRequestCsChargingProfiles

class SetChargingProfileRequestChargingSchedule(TypedDict):
    duration: NotRequired[int]
    startSchedule: NotRequired[str]
    chargingRateUnit: SetChargingProfileRequestChargingScheduleChargingRateUnit
    chargingSchedulePeriod: list[SetChargingProfileRequestChargingSchedulePeriod]
    minChargingRate: NotRequired[float]

SetChargingProfileRequestChargingScheduleChargingRateUnit: TypeAlias = Literal[
    "A",
    "W",
]

class SetChargingProfileRequestChargingSchedulePeriod(TypedDict):
    startPeriod: int
    limit: float
    numberPhases: NotRequired[int]

class SetChargingProfileRequestCsChargingProfiles(TypedDict):
    chargingProfileId: int
    transactionId: NotRequired[int]
    stackLevel: int
    chargingProfilePurpose: SetChargingProfileRequestCsChargingProfilesChargingProfilePurpose
    chargingProfileKind: SetChargingProfileRequestCsChargingProfilesChargingProfileKind
    recurrencyKind: NotRequired[SetChargingProfileRequestCsChargingProfilesRecurrencyKind]
    validFrom: NotRequired[str]
    validTo: NotRequired[str]
    chargingSchedule: SetChargingProfileRequestChargingSchedule

SetChargingProfileRequestCsChargingProfilesChargingProfileKind: TypeAlias = Literal[
    "Absolute",
    "Recurring",
    "Relative",
]

SetChargingProfileRequestCsChargingProfilesChargingProfilePurpose: TypeAlias = Literal[
    "ChargePointMaxProfile",
    "TxDefaultProfile",
    "TxProfile",
]

SetChargingProfileRequestCsChargingProfilesRecurrencyKind: TypeAlias = Literal[
    "Daily",
    "Weekly",
]

class SetChargingProfileResponse(TypedDict):
    status: SetChargingProfileResponseStatus

SetChargingProfileResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotSupported",
]

class SignCertificateRequest(TypedDict):
    csr: str

class SignCertificateResponse(TypedDict):
    status: GenericStatusEnumType

class SignedFirmwareStatusNotificationRequest(TypedDict):
    status: FirmwareStatusEnumType
    requestId: NotRequired[int]

class SignedFirmwareStatusNotificationResponse(TypedDict): ...

class SignedUpdateFirmwareRequest(TypedDict):
    retries: NotRequired[int]
    retryInterval: NotRequired[int]
    requestId: int
    firmware: FirmwareType

class SignedUpdateFirmwareResponse(TypedDict):
    status: UpdateFirmwareStatusEnumType

class StartTransactionRequest(TypedDict):
    connectorId: int
    idTag: str
    meterStart: int
    reservationId: NotRequired[int]
    timestamp: str

class StartTransactionResponse(TypedDict):
    idTagInfo: StartTransactionResponseIdTagInfo
    transactionId: int

class StartTransactionResponseIdTagInfo(TypedDict):
    expiryDate: NotRequired[str]
    parentIdTag: NotRequired[str]
    status: StartTransactionResponseIdTagInfoStatus

StartTransactionResponseIdTagInfoStatus: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "Expired",
    "Invalid",
    "ConcurrentTx",
]

class StatusNotificationRequest(TypedDict):
    connectorId: int
    errorCode: StatusNotificationRequestErrorCode
    info: NotRequired[str]
    status: StatusNotificationRequestStatus
    timestamp: NotRequired[str]
    vendorId: NotRequired[str]
    vendorErrorCode: NotRequired[str]

StatusNotificationRequestErrorCode: TypeAlias = Literal[
    "ConnectorLockFailure",
    "EVCommunicationError",
    "GroundFailure",
    "HighTemperature",
    "InternalError",
    "LocalListConflict",
    "NoError",
    "OtherError",
    "OverCurrentFailure",
    "PowerMeterFailure",
    "PowerSwitchFailure",
    "ReaderFailure",
    "ResetFailure",
    "UnderVoltage",
    "OverVoltage",
    "WeakSignal",
]

StatusNotificationRequestStatus: TypeAlias = Literal[
    "Available",
    "Preparing",
    "Charging",
    "SuspendedEVSE",
    "SuspendedEV",
    "Finishing",
    "Reserved",
    "Unavailable",
    "Faulted",
]

class StatusNotificationResponse(TypedDict): ...

class StopTransactionRequest(TypedDict):
    idTag: NotRequired[str]
    meterStop: int
    timestamp: str
    transactionId: int
    reason: NotRequired[StopTransactionRequestReason]
    transactionData: NotRequired[list[StopTransactionRequestTransactionData]]

StopTransactionRequestReason: TypeAlias = Literal[
    "EmergencyStop",
    "EVDisconnected",
    "HardReset",
    "Local",
    "Other",
    "PowerLoss",
    "Reboot",
    "Remote",
    "SoftReset",
    "UnlockCommand",
    "DeAuthorized",
]

class StopTransactionRequestSampledValue(TypedDict):
    value: str
    context: NotRequired[StopTransactionRequestSampledValueContext]
    format: NotRequired[StopTransactionRequestSampledValueFormat]
    measurand: NotRequired[StopTransactionRequestSampledValueMeasurand]
    phase: NotRequired[StopTransactionRequestSampledValuePhase]
    location: NotRequired[StopTransactionRequestSampledValueLocation]
    unit: NotRequired[StopTransactionRequestSampledValueUnit]

StopTransactionRequestSampledValueContext: TypeAlias = Literal[
    "Interruption.Begin",
    "Interruption.End",
    "Sample.Clock",
    "Sample.Periodic",
    "Transaction.Begin",
    "Transaction.End",
    "Trigger",
    "Other",
]

StopTransactionRequestSampledValueFormat: TypeAlias = Literal[
    "Raw",
    "SignedData",
]

StopTransactionRequestSampledValueLocation: TypeAlias = Literal[
    "Cable",
    "EV",
    "Inlet",
    "Outlet",
    "Body",
]

StopTransactionRequestSampledValueMeasurand: TypeAlias = Literal[
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Register",
    "Energy.Reactive.Export.Register",
    "Energy.Reactive.Import.Register",
    "Energy.Active.Export.Interval",
    "Energy.Active.Import.Interval",
    "Energy.Reactive.Export.Interval",
    "Energy.Reactive.Import.Interval",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Offered",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
    "Power.Factor",
    "Current.Import",
    "Current.Export",
    "Current.Offered",
    "Voltage",
    "Frequency",
    "Temperature",
    "SoC",
    "RPM",
]

StopTransactionRequestSampledValuePhase: TypeAlias = Literal[
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

StopTransactionRequestSampledValueUnit: TypeAlias = Literal[
    "Wh",
    "kWh",
    "varh",
    "kvarh",
    "W",
    "kW",
    "VA",
    "kVA",
    "var",
    "kvar",
    "A",
    "V",
    "K",
    "Celcius",
    "Celsius",
    "Fahrenheit",
    "Percent",
]

class StopTransactionRequestTransactionData(TypedDict):
    timestamp: str
    sampledValue: list[StopTransactionRequestSampledValue]

class StopTransactionResponse(TypedDict):
    idTagInfo: NotRequired[StopTransactionResponseIdTagInfo]

class StopTransactionResponseIdTagInfo(TypedDict):
    expiryDate: NotRequired[str]
    parentIdTag: NotRequired[str]
    status: StopTransactionResponseIdTagInfoStatus

StopTransactionResponseIdTagInfoStatus: TypeAlias = Literal[
    "Accepted",
    "Blocked",
    "Expired",
    "Invalid",
    "ConcurrentTx",
]

class TriggerMessageRequest(TypedDict):
    requestedMessage: TriggerMessageRequestRequestedMessage
    connectorId: NotRequired[int]

TriggerMessageRequestRequestedMessage: TypeAlias = Literal[
    "BootNotification",
    "DiagnosticsStatusNotification",
    "FirmwareStatusNotification",
    "Heartbeat",
    "MeterValues",
    "StatusNotification",
]

class TriggerMessageResponse(TypedDict):
    status: TriggerMessageResponseStatus

TriggerMessageResponseStatus: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotImplemented",
]

TriggerMessageStatusEnumType: TypeAlias = Literal[
    "Accepted",
    "Rejected",
    "NotImplemented",
]

class UnlockConnectorRequest(TypedDict):
    connectorId: int

class UnlockConnectorResponse(TypedDict):
    status: UnlockConnectorResponseStatus

UnlockConnectorResponseStatus: TypeAlias = Literal[
    "Unlocked",
    "UnlockFailed",
    "NotSupported",
]

class UpdateFirmwareRequest(TypedDict):
    location: str
    retries: NotRequired[int]
    retrieveDate: str
    retryInterval: NotRequired[int]

class UpdateFirmwareResponse(TypedDict): ...

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
]
