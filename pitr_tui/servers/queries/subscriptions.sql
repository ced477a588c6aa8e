-- The subscriptions of all databases, and how each is cut off from its publisher's slot.
SELECT subname, datname, subenabled,
       format('ALTER SUBSCRIPTION %I DISABLE; ALTER SUBSCRIPTION %I SET (slot_name = NONE);',
              subname, subname)
  FROM pg_subscription JOIN pg_database d ON d.oid = subdbid
 ORDER BY datname, subname
