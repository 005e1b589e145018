-- Back to a release without a dashboard.
DROP INDEX idx_delegations_failed;
DROP INDEX idx_delegations_created;
DROP TABLE projector.passes;
